import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'

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

/** What a data key is for; keys of one purpose open nothing of another. */
export type Purpose = 'columns' | 'receipts' | 'index'

/** A key that seals values; its header stands in front of each of them and says which key opens it. */
export type SealingKey = { readonly header: Buffer; readonly secret: KeyObject }

/** The keys of this moment: asked anew for every value, so that they may change under a running process. */
export type KeyRing = {
  /** The key that new values of this purpose are sealed with, counted as used once more. */
  sealing(purpose: Exclude<Purpose, 'index'>): SealingKey
  /** The key that opens values with this header; throws where there is none. */
  opening(purpose: Exclude<Purpose, 'index'>, header: Buffer): KeyObject
  index(): KeyObject
}

const NONCE_BYTES = 12
const TAG_BYTES = 16
const RECEIPT = 'receipt'

/**
 * AES-256-GCM with random 96-bit nonces under the data keys of a ring. A sealed value is: header, nonce (12), ciphertext,
 * tag (16); the header is version 2 with the data key's id in two bytes, or, from before there were data keys, version 1
 * with a master key's id in one.
 */
export function makeEncryption(ring: KeyRing): Encryption {
  return {
    seal: (plain, place) => sealWith(ring.sealing('columns'), Buffer.from(plain), textOf(place)),
    open: (sealed, place) => {
      const header = headerOf(sealed)
      const key = ring.opening('columns', header)
      try {
        return openWith(key, header, sealed, textOf(place)).toString()
      } catch (error) {
        throw new Error(`What is sealed at ${textOf(place)} does not open: it was changed, or belongs elsewhere.`, {
          cause: error,
        })
      }
    },
    sealBytes: (plain, callerSecret) => {
      const { header, secret } = ring.sealing('receipts')
      return sealWith({ header, secret: expand(secret, callerSecret) }, plain, RECEIPT)
    },
    openBytes: (sealed, callerSecret) => {
      const header = headerOf(sealed)
      return openWith(expand(ring.opening('receipts', header), callerSecret), header, sealed, RECEIPT)
    },
    blindIndex: (value, field) =>
      createHmac('sha256', ring.index())
        .update(`${field}\0${normal(value)}`)
        .digest(),
  }
}

/** The header of what the data key with this id sealed. */
export const headerOfKey = (id: number): Buffer => Buffer.of(2, id >> 8, id & 255)

/** The header of what was sealed before there were data keys, under a key derived from this master key. */
export const headerOfVersion1 = (masterKeyId: number): Buffer => Buffer.of(1, masterKeyId)

/** HKDF-Expand of one block: the extract step was done once. A cipher takes a KeyObject 20 µs sooner than bytes. */
const expand = (secret: KeyObject, info: string) =>
  createSecretKey(createHmac('sha256', secret).update(info).update('\x01').digest())

/** Seals bytes with one key, bound to a text that opening them must give again. */
export function sealWith({ header, secret }: SealingKey, plain: Uint8Array, associated: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', secret, nonce).setAAD(Buffer.from(associated))
  const text = cipher.update(plain)
  cipher.final()
  return Buffer.concat([header, nonce, text, cipher.getAuthTag()])
}

/** Opens what `sealWith` made with this key and text; throws on anything else. */
export function openWith(secret: KeyObject, { length: start }: Buffer, sealed: Buffer, associated: string): Buffer {
  const nonce = sealed.subarray(start, start + NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', secret, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(associated))
    .setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = decipher.update(sealed.subarray(start + NONCE_BYTES, -TAG_BYTES))
  decipher.final()
  return plain
}

const HEADER_BYTES: Readonly<Record<number, number>> = { 1: 2, 2: 3 }

/** The header of a sealed value; throws on what is none. */
export function headerOf(sealed: Buffer): Buffer {
  const length = HEADER_BYTES[sealed[0] ?? 0]
  if (!length || sealed.length < length + NONCE_BYTES + TAG_BYTES) throw new Error('Not a sealed value.')
  return sealed.subarray(0, length)
}

const textOf = ({ table, column, row }: Place) => `${table}.${column}:${row}`

const normal = (value: string) => value.trim().toLowerCase().normalize('NFC')
