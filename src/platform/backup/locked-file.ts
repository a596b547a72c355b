import { createReadStream, createWriteStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { constants, createGunzip, createGzip } from 'node:zlib'
import { Decrypter, Encrypter, type Identity } from 'age-encryption'
import { renameForGood } from '#platform/files/rename-for-good.ts'

/** A locked file that stands under a temporary name until `keep` gives it its own. */
export type Draft = {
  readonly bytes: number
  /** Opens this one file, whoever it was locked for; it is forgotten with the process. */
  readonly identity: Identity
  /** What the file is called until then. */
  readonly path: string
  keep(): Promise<void>
  discard(): Promise<void>
}

/**
 * Writes parts, compressed (gzip) and locked (age) for a recipient, into a file that only we may read, and has the disk
 * keep it. No plain text reaches a disk. Refuses a path that is taken; when it fails, nothing is left.
 */
export async function lockFile(
  parts: AsyncIterable<Buffer>,
  path: string,
  { recipient, signal }: { readonly recipient: string; readonly signal: AbortSignal },
): Promise<Draft> {
  if (await stat(path).catch(() => null)) throw new Error(`${path} is there already, and backups are not overwritten`)
  const draft = `${path}.part`
  const discard = () => rm(draft, { force: true })
  const file = await open(draft, 'w', 0o600).catch((error) => {
    throw unwritable(path, error)
  })
  try {
    const encrypter = new Encrypter()
    let fileKey: Uint8Array
    encrypter.addRecipient(recipient)
    encrypter.addRecipient({
      wrapFileKey: (key) => {
        fileKey = key
        return []
      },
    })
    const packed = createGzip({ level: constants.Z_BEST_SPEED })
    const locked = await encrypter.encrypt(Readable.toWeb(packed) as ReadableStream<Uint8Array>)
    await Promise.all([
      pipeline(parts, packed, { signal }),
      pipeline(Readable.fromWeb(locked), createWriteStream('', { fd: file, flush: true }), {
        signal,
      }),
    ])
    const keep = () => renameForGood(draft, path)
    return { bytes: (await stat(draft)).size, identity: { unwrapFileKey: () => fileKey }, path: draft, keep, discard }
  } catch (error) {
    await file.close().catch(() => {})
    await discard()
    throw signal.aborted ? signal.reason : unwritable(path, error)
  }
}

const unwritable = (path: string, error: unknown): unknown =>
  (error as NodeJS.ErrnoException).syscall
    ? new Error(`${path} could not be written: ${(error as Error).message}`)
    : error

/** What `lockFile` wrote, as it is read; `onProgress` is told the bytes of the file. Throws one line on whatever is not such a file, whole and unchanged. */
export async function* unlockFile(
  path: string,
  identity: Identity | string,
  onProgress: (bytes: number, total: number) => void = () => {},
): AsyncGenerator<Buffer> {
  const { size } = await stat(path).catch(() => {
    throw new Error(`${path} is not there, or not ours to read`)
  })
  let read = 0
  const file = createReadStream(path).on('data', (chunk) => {
    read += chunk.length
    onProgress(read, size)
  })
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  const plain = await decrypter.decrypt(Readable.toWeb(file) as ReadableStream<Uint8Array>).catch((error: Error) => {
    throw /no identity matched/.test(error.message)
      ? new Error(`BACKUP_KEY is not the key that ${path} was locked for`)
      : damaged(path)
  })
  const unpacked = createGunzip()
  const whole = pipeline(Readable.fromWeb(plain), unpacked)
  whole.catch(() => {})
  try {
    yield* unpacked
    await whole
  } catch {
    throw damaged(path)
  } finally {
    unpacked.destroy()
    file.destroy()
  }
}

const damaged = (path: string) =>
  new Error(`${path} is not a whole backup: it was cut off or changed after it was written`)
