import { type Problems, refuserOf } from '#kernel/refusal.ts'

/** Everything that accounts and sessions refuse. */
export const usersProblems = {
  'users.invalid-token': {
    kind: 'unauthenticated',
    title: 'The access token is not valid',
    advice: 'Get a new one with POST /v1/auth/refresh, or log in again.',
  },
  'users.invalid-refresh-token': {
    kind: 'unauthenticated',
    title: 'The refresh token is not valid',
    advice: 'It was used, it ended, or its session did: log in again.',
  },
  'users.wrong-credentials': {
    kind: 'unauthenticated',
    title: 'E-mail or password is wrong',
    advice: 'Check both. The answer is the same whether or not there is such an account.',
  },
  'users.reauthentication-required': {
    kind: 'forbidden',
    title: 'Show your password once more',
    advice: 'Send it to POST /v1/auth/reauthentication, then repeat this request within ten minutes.',
  },
  'users.second-factor-required': {
    kind: 'unauthenticated',
    title: 'A second factor is required',
    advice: 'Repeat the request with `code`: the one that the authenticator app shows, or a recovery code.',
  },
  'users.wrong-code': {
    kind: 'unauthenticated',
    title: 'The code is wrong or was used',
    advice: 'Wait for the next code of the app, or use another recovery code: each counts once.',
  },
  'users.too-many-attempts': {
    kind: 'limited',
    title: 'Too many failed attempts',
    advice:
      'Wait for the seconds in Retry-After, log in from a device that did before (`deviceToken`), or reset the password.',
  },
  'users.no-second-factor': {
    kind: 'conflict',
    title: 'There is no second factor',
    advice: 'Start with POST /v1/auth/mfa/totp, then confirm it with a code of it.',
  },
  'users.second-factor-kept': {
    kind: 'conflict',
    title: 'Staff keep their second factor',
    advice: 'Replace it instead: POST /v1/auth/mfa/totp, then confirm the new one.',
  },
  'users.weak-password': {
    kind: 'invalid',
    title: 'The password is too weak',
    advice:
      'Use a longer one, of any characters at all, that is none of the well-known passwords; `detail` says what is wrong.',
  },
  'users.email-taken': {
    kind: 'conflict',
    title: 'There is an account with this e-mail',
    advice: 'Give its roles to that account, or use another address.',
  },
  'users.not-found': { kind: 'not-found', title: 'No such user', advice: 'Check the id.' },
  'users.session-not-found': {
    kind: 'not-found',
    title: 'No such session',
    advice: 'GET /v1/auth/sessions lists those that you have.',
  },
  'users.cannot-grant': {
    kind: 'forbidden',
    title: 'These are not your rights to give or take',
    advice: 'Nobody grants, changes or removes a permission that they lack: ask somebody who has it.',
  },
  'users.not-staff': {
    kind: 'conflict',
    title: 'This is a customer account',
    advice: 'Create a staff account with POST /v1/users: it has a longer password and an address of its own.',
  },
  'users.unknown-role': {
    kind: 'invalid',
    title: 'There is no such role of staff',
    advice: 'GET /v1/roles lists the roles. Nobody is made a guest or a customer.',
  },
  'users.role-not-found': { kind: 'not-found', title: 'No such role', advice: 'GET /v1/roles lists the roles.' },
  'users.role-exists': {
    kind: 'conflict',
    title: 'There is a role of this name',
    advice: 'Change that role, or choose another name.',
  },
  'users.fixed-role': {
    kind: 'conflict',
    title: 'This role belongs to Stoa',
    advice: 'What a guest, a customer and an owner may do is fixed: make a role of your own.',
  },
  'users.role-in-use': {
    kind: 'conflict',
    title: 'Somebody has this role',
    advice: 'Give them other roles first: GET /v1/users?kind=staff lists the staff.',
  },
  'users.key-not-found': { kind: 'not-found', title: 'No such API key', advice: 'GET /v1/api-keys lists the keys.' },
  'users.key-ended': {
    kind: 'conflict',
    title: 'This API key has ended, or was replaced',
    advice: 'Rotate the key in its place, or make a new one.',
  },
  'users.last-owner': {
    kind: 'conflict',
    title: 'This is the last owner',
    advice: 'Make somebody else an owner first.',
  },
  'users.invalid-link': {
    kind: 'invalid',
    title: 'The link is not valid',
    advice: 'It was used, it has ended, or a later one took its place: ask for another. Status 400.',
  },
  'users.address-not-found': {
    kind: 'not-found',
    title: 'No such address',
    advice: 'Check the id: it is one of your own address book, and you are signed in.',
  },
  'users.too-many-addresses': {
    kind: 'conflict',
    title: 'The address book is full',
    advice: 'It takes 20 addresses: remove one first.',
  },
  'users.staff-account': {
    kind: 'conflict',
    title: 'This is a staff account',
    advice: 'Staff close their account themselves, with DELETE /v1/users/me; disable it instead.',
  },
  'users.too-busy': {
    kind: 'unavailable',
    title: 'Too many people are logging in',
    advice: 'Wait for the seconds in Retry-After, then try again.',
  },
} as const satisfies Problems

/** Says no with a code of the table above. */
export const refuse = refuserOf(usersProblems)
