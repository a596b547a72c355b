import type { Letters } from './letters.ts'

/** The letters about accounts, in English. */
export const en: Letters = {
  footer: (shop) => `${shop} sends this because somebody used this address there.`,
  'verify-email': ({ shop, url, minutes }) => ({
    subject: `Confirm your e-mail address for ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Please confirm that this is your address: then ${shop} can write to you about your orders.`,
      },
      { kind: 'button', label: 'Confirm this address', url },
      { kind: 'text', text: `The link is good for ${minutes} minutes, once. If it was not you, ignore this mail.` },
    ],
  }),
  'registered-again': ({ shop, url }) => ({
    subject: `You have an account at ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Somebody, probably you, tried to make an account at ${shop} with this address. There is one already, and nothing was changed.`,
      },
      { kind: 'text', text: 'If you do not remember its password, set a new one:' },
      { kind: 'button', label: 'Set a new password', url },
    ],
  }),
  'reset-password': ({ shop, url, minutes }) => ({
    subject: `Set a new password for ${shop}`,
    blocks: [
      { kind: 'text', text: `Somebody, probably you, asked for a new password at ${shop}.` },
      { kind: 'button', label: 'Set a new password', url },
      {
        kind: 'text',
        text: `The link is good for ${minutes} minutes, once. If it was not you, ignore this mail: your password stays as it is.`,
      },
    ],
  }),
  'password-changed': ({ shop, url }) => ({
    subject: `Your password at ${shop} was changed`,
    blocks: [
      { kind: 'text', text: `The password of your account at ${shop} was changed, and other devices were logged out.` },
      { kind: 'text', text: 'If it was not you, set a new one at once:' },
      { kind: 'button', label: 'Set a new password', url },
    ],
  }),
  'change-email': ({ shop, url, minutes }) => ({
    subject: `Confirm your new e-mail address for ${shop}`,
    blocks: [
      { kind: 'text', text: `Please confirm that your account at ${shop} is to use this address from now on.` },
      { kind: 'button', label: 'Use this address', url },
      { kind: 'text', text: `The link is good for ${minutes} minutes, once. If it was not you, ignore this mail.` },
    ],
  }),
  'email-change-noticed': ({ shop, url }) => ({
    subject: `A new e-mail address for your account at ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Somebody, probably you, asked to use another address for your account at ${shop}. It is used once that address is confirmed.`,
      },
      { kind: 'text', text: 'If it was not you, set a new password at once: the request is void then.' },
      { kind: 'button', label: 'Set a new password', url },
    ],
  }),
  'email-changed': ({ shop }) => ({
    subject: `The e-mail address of your account at ${shop} was changed`,
    blocks: [
      {
        kind: 'text',
        text: `Your account at ${shop} uses another address from now on; nothing about it is sent to this one any more.`,
      },
      { kind: 'text', text: `If it was not you, tell ${shop} at once.` },
    ],
  }),
  'email-taken': ({ shop }) => ({
    subject: `This address is in use at ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Somebody, probably you, asked to use this address for another account at ${shop}. It is the address of an account there already, so nothing was changed.`,
      },
    ],
  }),
}
