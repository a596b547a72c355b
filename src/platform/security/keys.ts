import {
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { MasterKey } from './master-keys.ts'

/** An Ed25519 key that signs access tokens; its `kid` is the RFC 7638 thumbprint of the public part. */
export type SigningKey = { readonly kid: string; readonly privateKey: KeyObject; readonly publicKey: KeyObject }

const MAKERS = {
  ENCRYPTION_KEYS: () => `1:${randomBytes(32).toString('base64')}`,
  TOKEN_SECRETS: () => randomBytes(32).toString('base64'),
  SIGNING_KEYS: () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
  SANDBOX_SECRET_KEY: () => `sk_sandbox_${randomBytes(24).toString('base64url')}`,
  SANDBOX_WEBHOOK_SECRET: () => `whsec_${randomBytes(24).toString('base64url')}`,
}

/** The keys by the names of their variables, each a text that the environment could have given as well. */
export type KeyTexts = Readonly<Record<keyof typeof MAKERS, string>>

/** Outside production: reads `<dataDir>/keys.json` (mode 0600), made once with random keys, also by two processes at once. */
export function readOrMakeKeys(dataDir: string): KeyTexts {
  const path = join(dataDir, 'keys.json')
  if (!existsSync(path))
    writeOnce(path, Object.fromEntries(Object.entries(MAKERS).map(([name, make]) => [name, make()])))
  return JSON.parse(readFileSync(path, 'utf8')) as KeyTexts
}

/** A link fails where the name is taken: the first writer wins, and nobody reads half a file. */
function writeOnce(path: string, texts: object): void {
  mkdirSync(join(path, '..'), { recursive: true })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  const file = openSync(draft, 'wx', 0o600)
  try {
    writeSync(file, `${JSON.stringify(texts, null, 2)}\n`)
    fsyncSync(file)
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    closeSync(file)
    rmSync(draft)
  }
}

/** `id:base64,…`, ids 0–255, 32 bytes each: the first wraps data keys, all unwrap. Throws one line that names the variable. */
export function parseEncryptionKeys(text: string | undefined, variable = 'ENCRYPTION_KEYS'): MasterKey[] {
  const keys = entriesOf(text, variable).map((entry) => {
    const [, id = '', base64 = ''] = /^(\d{1,3}):(.+)$/.exec(entry) ?? []
    const secret = bytesOf(base64)
    if (secret?.length !== 32 || Number(id) > 255)
      throw new Error(`${variable} must be id:base64 with 32 bytes and an id up to 255, separated by commas.`)
    return { id: Number(id), secret: createSecretKey(secret) }
  })
  if (new Set(keys.map((key) => key.id)).size < keys.length) throw new Error(`${variable} has one id twice.`)
  return keys
}

/** `base64,…`, at least 32 bytes each: the first makes tokens, all are accepted. Throws one line that names the variable. */
export const parseTokenSecrets = (text: string | undefined, variable = 'TOKEN_SECRETS'): KeyObject[] =>
  entriesOf(text, variable).map((entry) => {
    const secret = bytesOf(entry)
    if (!secret || secret.length < 32)
      throw new Error(`${variable} must be base64 of at least 32 random bytes each, separated by commas.`)
    return createSecretKey(secret)
  })

/** `base64,…` of Ed25519 private keys in PKCS #8 DER: the first signs, all verify. Throws one line that names the variable. */
export const parseSigningKeys = (text: string | undefined, variable = 'SIGNING_KEYS'): SigningKey[] =>
  entriesOf(text, variable).map((entry) => {
    const privateKey = ed25519Of(bytesOf(entry))
    if (!privateKey)
      throw new Error(`${variable} must be Ed25519 private keys (base64 of PKCS #8 DER), separated by commas.`)
    const publicKey = createPublicKey(privateKey)
    const { crv, kty, x } = publicKey.export({ format: 'jwk' })
    const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url')
    return { kid, privateKey, publicKey }
  })

/** A secret that is a plain text of at least 16 characters. Throws one line that names the variable. */
export function parseSecret(text: string | undefined, variable: string): string {
  if (!text || text.length < 16) throw new Error(`${variable} must be set, to at least 16 characters.`)
  return text
}

function entriesOf(text: string | undefined, variable: string): string[] {
  if (!text) throw new Error(`${variable} must be set.`)
  return text.split(',').map((entry) => entry.trim())
}

/** Buffer.from drops what is not base64 in silence; a key with a typing error must not become another key. */
const bytesOf = (base64: string): Buffer | undefined =>
  /^[A-Za-z0-9+/_-]+={0,2}$/.test(base64) ? Buffer.from(base64, 'base64') : undefined

function ed25519Of(der: Buffer | undefined): KeyObject | undefined {
  try {
    const key = der && createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    return key?.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}
