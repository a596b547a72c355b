import type { Letters } from './letters.ts'

/** The letters about accounts, in German. */
export const de: Letters = {
  footer: (shop) => `${shop} schreibt Ihnen, weil dort jemand diese Adresse verwendet hat.`,
  'verify-email': ({ shop, url, minutes }) => ({
    subject: `Bestätigen Sie Ihre E-Mail-Adresse für ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Bitte bestätigen Sie, dass dies Ihre Adresse ist: dann kann ${shop} Ihnen zu Ihren Bestellungen schreiben.`,
      },
      { kind: 'button', label: 'Adresse bestätigen', url },
      {
        kind: 'text',
        text: `Der Link gilt ${minutes} Minuten und einmal. Waren Sie es nicht, lassen Sie diese Mail liegen.`,
      },
    ],
  }),
  'registered-again': ({ shop, url }) => ({
    subject: `Sie haben ein Konto bei ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Jemand, vermutlich Sie, wollte bei ${shop} ein Konto mit dieser Adresse anlegen. Es gibt schon eines, und nichts wurde geändert.`,
      },
      { kind: 'text', text: 'Wenn Sie das Passwort nicht mehr wissen, setzen Sie ein neues:' },
      { kind: 'button', label: 'Neues Passwort setzen', url },
    ],
  }),
  'reset-password': ({ shop, url, minutes }) => ({
    subject: `Neues Passwort für ${shop}`,
    blocks: [
      { kind: 'text', text: `Jemand, vermutlich Sie, hat bei ${shop} ein neues Passwort angefordert.` },
      { kind: 'button', label: 'Neues Passwort setzen', url },
      {
        kind: 'text',
        text: `Der Link gilt ${minutes} Minuten und einmal. Waren Sie es nicht, lassen Sie diese Mail liegen: Ihr Passwort bleibt, wie es ist.`,
      },
    ],
  }),
  'password-changed': ({ shop, url }) => ({
    subject: `Ihr Passwort bei ${shop} wurde geändert`,
    blocks: [
      { kind: 'text', text: `Das Passwort Ihres Kontos bei ${shop} wurde geändert, andere Geräte wurden abgemeldet.` },
      { kind: 'text', text: 'Waren Sie es nicht, setzen Sie sofort ein neues:' },
      { kind: 'button', label: 'Neues Passwort setzen', url },
    ],
  }),
  'change-email': ({ shop, url, minutes }) => ({
    subject: `Bestätigen Sie Ihre neue E-Mail-Adresse für ${shop}`,
    blocks: [
      { kind: 'text', text: `Bitte bestätigen Sie, dass Ihr Konto bei ${shop} künftig diese Adresse verwenden soll.` },
      { kind: 'button', label: 'Diese Adresse verwenden', url },
      {
        kind: 'text',
        text: `Der Link gilt ${minutes} Minuten und einmal. Waren Sie es nicht, lassen Sie diese Mail liegen.`,
      },
    ],
  }),
  'email-change-noticed': ({ shop, url }) => ({
    subject: `Neue E-Mail-Adresse für Ihr Konto bei ${shop}`,
    blocks: [
      {
        kind: 'text',
        text: `Jemand, vermutlich Sie, möchte für Ihr Konto bei ${shop} eine andere Adresse verwenden. Sie gilt, sobald diese bestätigt ist.`,
      },
      {
        kind: 'text',
        text: 'Waren Sie es nicht, setzen Sie sofort ein neues Passwort: damit ist der Wunsch hinfällig.',
      },
      { kind: 'button', label: 'Neues Passwort setzen', url },
    ],
  }),
  'email-changed': ({ shop }) => ({
    subject: `Die E-Mail-Adresse Ihres Kontos bei ${shop} wurde geändert`,
    blocks: [
      {
        kind: 'text',
        text: `Ihr Konto bei ${shop} verwendet ab jetzt eine andere Adresse; an diese hier schreiben wir dazu nicht mehr.`,
      },
      { kind: 'text', text: `Waren Sie es nicht, sagen Sie ${shop} sofort Bescheid.` },
    ],
  }),
  'email-taken': ({ shop }) => ({
    subject: `Diese Adresse wird bei ${shop} schon verwendet`,
    blocks: [
      {
        kind: 'text',
        text: `Jemand, vermutlich Sie, wollte diese Adresse bei ${shop} für ein anderes Konto verwenden. Sie gehört dort schon zu einem Konto, deshalb wurde nichts geändert.`,
      },
    ],
  }),
}
