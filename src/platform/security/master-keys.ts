import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { headerOf, headerOfVersion1, openWith, type Purpose, sealWith } from './encryption.ts'

/** A 32-byte key from ENCRYPTION_KEYS that wraps data keys. Its id (0–255) is written into what it wrapped. */
export type MasterKey = { readonly id: number; readonly secret: KeyObject }

/** A data key on its way into or out of the database; a wrapped one opens as this key for this purpose only. */
export type PlainKey = { readonly id: number; readonly purpose: Purpose; readonly secret: KeyObject }

/** Wraps a data key under a master key. */
export const wrap = (master: MasterKey, { id, purpose, secret }: PlainKey): Buffer =>
  sealWith(
    { header: headerOfVersion1(master.id), secret: derive(master.secret, 'data-keys') },
    secret.export(),
    textOf(purpose, id),
  )

/** Opens a wrapped data key; throws one line that names ENCRYPTION_KEYS when its master key is missing or another one. */
export function unwrap(masterKeys: readonly MasterKey[], { id, purpose, wrapped }: WrappedKey): KeyObject {
  const masterId = masterKeyIdOf(wrapped)
  const master = masterKeys.find((key) => key.id === masterId)
  if (!master) throw new Error(`ENCRYPTION_KEYS lacks key ${masterId}, which this database's data key ${id} needs.`)
  try {
    const bytes = openWith(derive(master.secret, 'data-keys'), headerOf(wrapped), wrapped, textOf(purpose, id))
    return createSecretKey(bytes)
  } catch {
    throw new Error(`ENCRYPTION_KEYS has another key ${masterId} than the one that wrapped data key ${id}.`)
  }
}

export type WrappedKey = { readonly id: number; readonly purpose: Purpose; readonly wrapped: Buffer }

/** Which master key a data key is wrapped under. */
export const masterKeyIdOf = (wrapped: Buffer): number => wrapped[1] as number

/** What tells two master keys apart, also those with one id, without telling anything of them. */
export const nameOf = ({ id, secret }: MasterKey): string =>
  `${id}:${derive(secret, 'name').export().subarray(0, 6).toString('hex')}`

/** What values were sealed and indexed with before there were data keys: a key derived from a master key. */
export const derivedKey = (master: MasterKey, purpose: Purpose): KeyObject =>
  derive(master.secret, purpose === 'index' ? 'blind-index' : purpose)

const derive = (secret: KeyObject, purpose: string) =>
  createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', `stoa/v1/${purpose}`, 32)))

const textOf = (purpose: Purpose, id: number) => `platform.data_keys.wrapped:${purpose}:${id}`
