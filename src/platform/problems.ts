import { type Problems, refuserOf } from '#kernel/refusal.ts'

/** What the platform itself can refuse, whatever the request was about. */
export const platformProblems = {
  'platform.malformed': {
    kind: 'invalid',
    title: 'The request is malformed',
    advice: 'Correct what `errors` points at: a wrong type, a missing or an unknown property. Status 400.',
  },
  'platform.invalid': {
    kind: 'invalid',
    title: 'A value is out of range',
    advice: 'Correct the values that `errors` points at: they have the right type but break a rule.',
  },
  'platform.not-found': { kind: 'not-found', title: 'No such thing', advice: 'Check the address and the id.' },
  'platform.method-not-allowed': {
    kind: 'invalid',
    title: 'This method is not offered here',
    advice: 'Use one of the methods that the Allow header names. Status 405.',
  },
  'platform.unsupported-media-type': {
    kind: 'invalid',
    title: 'Unsupported content type',
    advice: 'Send the content type that the operation names, usually application/json. Status 415.',
  },
  'platform.too-slow': {
    kind: 'invalid',
    title: 'The request took too long to arrive',
    advice: 'Send it again, and all of it at once. Status 408.',
  },
  'platform.head-too-large': {
    kind: 'invalid',
    title: 'The address and headers are too large',
    advice: 'Send less than 16 KB of them: fewer or shorter headers, a shorter query. Status 431.',
  },
  'platform.too-large': { kind: 'invalid', title: 'The body is too large', advice: 'Send less at once. Status 413.' },
  'platform.unauthenticated': {
    kind: 'unauthenticated',
    title: 'Log in first',
    advice: 'Send `Authorization: Bearer <access token>`.',
  },
  'platform.forbidden': {
    kind: 'forbidden',
    title: 'Not allowed',
    advice: 'Your roles do not carry the permission that this operation needs.',
  },
  'platform.foreign-origin': {
    kind: 'forbidden',
    title: 'This page may not use the cookie',
    advice: 'Ask from a page of PUBLIC_URL, STOREFRONT_URL or CORS_ORIGINS: the browser names it in Origin.',
  },
  'platform.second-factor-missing': {
    kind: 'forbidden',
    title: 'Staff need a second factor here',
    advice:
      'Enrol one with POST /v1/auth/mfa/totp and confirm it; with one, log in again, or send it to POST /v1/auth/reauthentication.',
  },
  'platform.forbidden-field': {
    kind: 'forbidden',
    title: 'This field is not for you',
    advice: 'Leave out what `errors` points at, or ask for the permission that it names.',
  },
  'platform.idempotency-key-required': {
    kind: 'invalid',
    title: 'An Idempotency-Key is required',
    advice:
      'Send the header Idempotency-Key with 1 to 255 visible characters, a new one for each new intent. Status 400.',
  },
  'platform.idempotency-key-reused': {
    kind: 'invalid',
    title: 'This Idempotency-Key was used for another request',
    advice: 'Use a new key for a new request; repeat a request with exactly the same body.',
  },
  'platform.in-progress': {
    kind: 'conflict',
    title: 'The same request is being worked on',
    advice: 'Wait for the seconds in Retry-After, then repeat it with the same key.',
  },
  'platform.busy': {
    kind: 'conflict',
    title: 'Somebody else is changing this',
    advice: 'Wait for the seconds in Retry-After, then repeat the request with the same key.',
  },
  'platform.rate-limited': {
    kind: 'limited',
    title: 'Too many requests',
    advice: 'Wait for the seconds in Retry-After, then go on more slowly: RateLimit says what is left.',
  },
  'platform.precondition-required': {
    kind: 'stale',
    title: 'If-Match is required',
    advice: 'Read the thing first and send its ETag as If-Match. Status 428.',
  },
  'platform.stale': {
    kind: 'stale',
    title: 'It was changed in the meantime',
    advice: 'Read it again, then repeat the change with the new ETag. Status 412.',
  },
  'platform.outcome-unknown': {
    kind: 'unavailable',
    title: 'The outcome is unknown',
    advice: 'The connection to the database broke while committing. Repeat the request with the same Idempotency-Key.',
  },
  'platform.unavailable': {
    kind: 'unavailable',
    title: 'Not available at the moment',
    advice: 'Wait for the seconds in Retry-After, then repeat the request.',
  },
  'platform.overloaded': {
    kind: 'unavailable',
    title: 'Too much to do at the moment',
    advice: 'Nothing was done. Wait for the seconds in Retry-After, then repeat the request.',
  },
  'platform.internal': {
    kind: 'unavailable',
    title: 'Something went wrong here',
    advice: 'It is logged under the request id in `instance`. Status 500.',
  },
} as const satisfies Problems

export const refuse = refuserOf(platformProblems)
