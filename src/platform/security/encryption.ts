import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto'

/** A 32-byte key that all others derive from. Its id (0–255) is written into what it sealed. */
export type MasterKey = { readonly id: number; readonly secret: KeyObject }

/** Where a sealed value lives. It opens nowhere else: a value copied to another row or column is refused. */
export type Place = { readonly table: string; readonly column: string; readonly row: string }

export type Encryption = {
  /** Seals a text for one place. */
  seal(plain: string, place: Place): Buffer
  /** Opens what `seal` made for this very place; throws on anything else. */
  open(sealed: Buffer, place: Place): string
  /** Seals bytes so that opening them needs the caller's secret too: whoever holds our keys alone cannot. */
  sealBytes(plain: Uint8Array, callerSecret: string): Buffer
  /** Opens what `sealBytes` made with this secret; throws on anything else. */
  openBytes(sealed: Buffer, callerSecret: string): Buffer
  /**
   * What a sealed value is looked up by: equal values of one field (`users.email`) have equal indexes, whatever their
   * case, form or surrounding blanks; without our key nobody can guess a value and try it.
   */
  blindIndex(value: string, field: string): Buffer
}

const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const RECEIPT = 'receipt'
const HEADER_BYTES = 2 + NONCE_BYTES

/**
 * AES-256-GCM with random nonces; the first key seals, all open. The blind index derives from the last, so that putting
 * a new key in front changes no index; taking the last away asks for all of them to be computed anew.
 * A sealed value is: version, key id, nonce (12), ciphertext, tag (16).
 */
export function makeEncryption(masterKeys: readonly MasterKey[]): Encryption {
  const first = masterKeys[0]
  const last = masterKeys.at(-1)
  if (!first || !last) throw new RangeError('No master key.')
  const columnKeys = new Map(masterKeys.map(({ id, secret }) => [id, derive(secret, 'columns')]))
  const receiptKeys = new Map(masterKeys.map(({ id, secret }) => [id, derive(secret, 'receipts')]))
  const indexKey = derive(last.secret, 'blind-index')
  const key = (keys: Map<number, KeyObject>, id: number) => {
    const found = keys.get(id)
    if (!found) throw new Error(`Sealed with key ${id}, which is not among the master keys.`)
    return found
  }
  return {
    seal: (plain, place) => sealWith(key(columnKeys, first.id), first.id, Buffer.from(plain), textOf(place)),
    open: (sealed, place) => openWith(key(columnKeys, keyIdOf(sealed)), sealed, textOf(place)).toString(),
    sealBytes: (plain, callerSecret) =>
      sealWith(expand(key(receiptKeys, first.id), callerSecret), first.id, plain, RECEIPT),
    openBytes: (sealed, callerSecret) =>
      openWith(expand(key(receiptKeys, keyIdOf(sealed)), callerSecret), sealed, RECEIPT),
    blindIndex: (value, field) =>
      createHmac('sha256', indexKey)
        .update(`${field}\0${normal(value)}`)
        .digest(),
  }
}

const derive = (secret: KeyObject, purpose: string) =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `stoa/v1/${purpose}`, 32)))

/** HKDF-Expand of one block: the extract step was done once. A cipher takes a KeyObject 20 µs sooner than bytes. */
const expand = (secret: KeyObject, info: string) =>
  createSecretKey(createHmac('sha256', secret).update(info).update('\x01').digest())

function sealWith(key: KeyObject, keyId: number, plain: Uint8Array, associated: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(associated))
  const text = cipher.update(plain)
  cipher.final()
  return Buffer.concat([Buffer.of(VERSION, keyId), nonce, text, cipher.getAuthTag()])
}

function openWith(key: KeyObject, sealed: Buffer, associated: string): Buffer {
  const nonce = sealed.subarray(2, HEADER_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(associated))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = decipher.update(sealed.subarray(HEADER_BYTES, -TAG_BYTES))
  decipher.final()
  return plain
}

function keyIdOf(sealed: Buffer): number {
  if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== VERSION) throw new Error('Not a sealed value.')
  return sealed[1] as number
}

const textOf = ({ table, column, row }: Place) => `${table}.${column}:${row}`

const normal = (value: string) => value.trim().toLowerCase().normalize('NFC')
