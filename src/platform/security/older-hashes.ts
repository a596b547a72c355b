import { pbkdf2Sync, timingSafeEqual } from 'node:crypto'
import { parseOptions, verifySync as verifyArgon2 } from '@node-rs/argon2'
import { verifySync as verifyBcrypt } from '@node-rs/bcrypt'

/** A stored hash of a form that we know. bcrypt looks at the first 72 bytes of a password; all others at every one. */
export type ReadHash = {
  readonly form: 'argon2id' | 'argon2i' | 'argon2d' | 'bcrypt' | 'pbkdf2'
  /** Takes up to a second of the thread that asks: see hash-lanes.ts. */
  isRight(password: string): boolean
}

/** Why a hash is not taken. */
export type UnreadableHash = { readonly problem: string }

/** Hashes come from elsewhere: checking one must not cost more than about a second or a quarter of a gigabyte. */
const MAX_TEXT = 512
const MAX_BCRYPT_COST = 14
const MAX_PBKDF2_ITERATIONS = 2_000_000
const MAX_ARGON2_KIB = 262_144
const MAX_ARGON2_KIB_TIMES_PASSES = 1_048_576

/**
 * Reads a hash as we make it (argon2id) or as other systems made it: argon2i and argon2d (PHC strings), bcrypt ($2a$,
 * $2b$, $2y$), PBKDF2 as of Django, passlib, Werkzeug and as PHC strings. Says why when it is none of them or asks for too
 * much work.
 */
export function readHash(stored: string): ReadHash | UnreadableHash {
  if (stored.length > MAX_TEXT) return { problem: `is longer than ${MAX_TEXT} characters` }
  // Django writes the name of the algorithm before hashes that name it themselves.
  const text = stored.replace(/^(?:bcrypt\$(?=\$2)|argon2(?=\$argon2))/, '')
  return readArgon2(text) ?? readBcrypt(text) ?? readPbkdf2(text) ?? { problem: 'has a form that is not known' }
}

/** What is wrong with a hash, if anything: see readHash. */
export function problemOfHash(stored: string): string | undefined {
  const read = readHash(stored)
  return 'problem' in read ? read.problem : undefined
}

const ARGON2 = /^\$argon2(id|i|d)\$(?:v=(?:16|19)\$)?m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}$/

function readArgon2(text: string): ReadHash | UnreadableHash | undefined {
  const [, kind] = ARGON2.exec(text) ?? []
  const made = kind && parsedArgon2(text)
  if (!made) return undefined
  if (made.memoryCost > MAX_ARGON2_KIB || made.memoryCost * made.timeCost > MAX_ARGON2_KIB_TIMES_PASSES)
    return { problem: `asks for more than ${MAX_ARGON2_KIB >> 10} MiB, or too many passes over them` }
  return { form: `argon2${kind as 'id' | 'i' | 'd'}`, isRight: (password) => verifyArgon2(text, password) }
}

function parsedArgon2(text: string) {
  try {
    const made = parseOptions(text)
    return made.memoryCost >= 8 * made.parallelism ? made : undefined
  } catch {
    return undefined
  }
}

function readBcrypt(text: string): ReadHash | UnreadableHash | undefined {
  const [, cost] = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text) ?? []
  if (cost === undefined || Number(cost) < 4) return undefined
  if (Number(cost) > MAX_BCRYPT_COST) return { problem: `has a cost above ${MAX_BCRYPT_COST}` }
  return { form: 'bcrypt', isRight: (password) => verifyBcrypt(password, text) }
}

const base64 = (text: string) => Buffer.from(text.replaceAll('.', '+'), 'base64')
const plain = (text: string) => Buffer.from(text)
const hex = (text: string) => Buffer.from(text, 'hex')

/** Digest, iterations, salt and hash, in this order; passlib leaves SHA-1 unnamed, and writes base64 with a full stop for +. */
const PBKDF2 = [
  { like: /^pbkdf2_(sha1|sha256|sha512)\$(\d+)\$([^$]+)\$([A-Za-z0-9+/]+={0,2})$/, saltOf: plain, hashOf: base64 },
  {
    like: /^\$pbkdf2(?:-(sha1|sha256|sha512))?\$(?:i=)?(\d+)(?:,l=\d+)?\$([A-Za-z0-9+/.]+)\$([A-Za-z0-9+/.]+)$/,
    saltOf: base64,
    hashOf: base64,
  },
  { like: /^pbkdf2:(sha1|sha256|sha512):(\d+)\$([^$]+)\$((?:[0-9a-f]{2})+)$/, saltOf: plain, hashOf: hex },
]

function readPbkdf2(text: string): ReadHash | UnreadableHash | undefined {
  for (const { like, saltOf, hashOf } of PBKDF2) {
    const match = like.exec(text)
    if (!match) continue
    const [, digest = 'sha1', iterations, salt = '', encoded = ''] = match
    const hash = hashOf(encoded)
    if (hash.length < 16 || hash.length > 64 || Number(iterations) < 1) return undefined
    if (Number(iterations) > MAX_PBKDF2_ITERATIONS)
      return { problem: `has more than ${MAX_PBKDF2_ITERATIONS} iterations` }
    return {
      form: 'pbkdf2',
      isRight: (password) =>
        timingSafeEqual(pbkdf2Sync(password, saltOf(salt), Number(iterations), hash.length, digest), hash),
    }
  }
  return undefined
}
