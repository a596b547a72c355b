import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import { newId } from '#platform/ids.ts'
import { type Courier, hashOf, type Mail } from './mail.ts'

export type KeptMail = Mail & { readonly id: string; readonly at: string }

/** The mailbox of development: mails stay on this machine, for people and tests to read. */
export type DevMailbox = Courier & {
  /** All that is kept, the newest first. */
  list(): Promise<KeptMail[]>
  find(id: string): Promise<KeptMail | undefined>
}

/** The latest mails are kept. */
const KEPT = 200
/** `<id, in the order of time>.<hash of the key>.json` */
const FILE = /^(mail_[0-9a-z]{26})\.([0-9a-f]{32})\.json$/

/** Keeps each mail as one JSON file in this folder, which the first mail makes. Several processes may share it. */
export function makeDevMailbox(folder: string, clock: Clock): DevMailbox {
  const names = async (): Promise<string[]> =>
    (await readdir(folder).catch(orNone)).filter((name) => FILE.test(name)).sort()

  const keep = async (mail: Mail): Promise<void> => {
    const id = newId('mail')
    const kept: KeptMail = { id, at: clock().toISOString(), ...mail }
    const unfinished = join(folder, `${id}.new`)
    await writeFile(unfinished, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 })
    await rename(unfinished, join(folder, `${id}.${hashOf(mail.key)}.json`))
  }

  const read = async (name: string): Promise<KeptMail | undefined> => {
    const text = await readFile(join(folder, name), 'utf8').catch(() => undefined)
    return text === undefined ? undefined : (JSON.parse(text) as KeptMail)
  }

  return {
    deliver: async (mails) => {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      const known = new Set((await names()).map((name) => FILE.exec(name)?.[2]))
      for (const mail of mails) if (!known.has(hashOf(mail.key))) await keep(mail)
      const old = (await names()).slice(0, -KEPT)
      await Promise.all(old.map((name) => rm(join(folder, name), { force: true })))
      return []
    },
    list: async () => {
      const kept = await Promise.all((await names()).reverse().map(read))
      return kept.filter((mail) => mail !== undefined)
    },
    find: async (id) => {
      const name = (await names()).find((one) => one.startsWith(`${id}.`))
      return name === undefined ? undefined : read(name)
    },
    close: async () => {},
  }
}

function orNone(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return []
  throw error
}
