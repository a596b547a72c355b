import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeBackupKey, readBackupKey, readIdentity } from '#platform/backup/key.ts'
import { lockFile, unlockFile } from '#platform/backup/locked-file.ts'
import { readScript } from '#platform/backup/script.ts'

const folder = mkdtempSync(join(tmpdir(), 'stoa-file-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** More than three of the pieces that age seals one by one; chance does not pack. */
const TEXT = randomBytes(250_000)
let key: Awaited<ReturnType<typeof makeBackupKey>>
let locked: Buffer
const file = join(folder, 'whole.age')

async function* parts(text = TEXT) {
  for (let at = 0; at < text.length; at += 10_000) yield text.subarray(at, at + 10_000)
}
const lock = (path: string, from: AsyncIterable<Buffer> = parts(), signal = new AbortController().signal) =>
  lockFile(from, path, { recipient: key.public, signal })
async function unlock(path: string, secret = key.secret): Promise<string> {
  const read: Buffer[] = []
  for await (const part of unlockFile(path, secret)) read.push(part)
  return Buffer.concat(read).toString('base64')
}

beforeAll(async () => {
  key = await makeBackupKey()
  const draft = await lock(file)
  await draft.keep()
  locked = readFileSync(file)
})

test('what was locked is unlocked by the secret half, and by nobody else', async () => {
  expect(await unlock(file)).toBe(TEXT.toString('base64'))
  const other = await makeBackupKey()
  await expect(unlock(file, other.secret)).rejects.toThrow(`BACKUP_KEY is not the key that ${file} was locked for`)
})

test('the draft opens by its own identity before it has its name; its name is not given twice', async () => {
  const path = join(folder, 'draft.age')
  const draft = await lock(path)
  expect(readdirSync(folder)).toContain('draft.age.part')
  const read: Buffer[] = []
  for await (const part of unlockFile(draft.path, draft.identity)) read.push(part)
  expect(Buffer.concat(read).equals(TEXT)).toBe(true)
  await draft.keep()
  expect(readdirSync(folder)).not.toContain('draft.age.part')
  await expect(lock(path)).rejects.toThrow(`${path} is there already`)
})

test('whatever was cut off, changed or swapped is refused', async () => {
  const damage = join(folder, 'damaged.age')
  const refused = `${damage} is not a whole backup`
  for (const bytes of [0, 1, 50, 250, 70_000, locked.length - 1]) {
    writeFileSync(damage, locked.subarray(0, bytes))
    await expect(unlock(damage), `${bytes} bytes`).rejects.toThrow(refused)
  }
  for (const at of [30, 180, 5_000, 100_000, locked.length - 1]) {
    const changed = Buffer.from(locked)
    changed[at] = (changed[at] as number) ^ 1
    writeFileSync(damage, changed)
    await expect(unlock(damage), `byte ${at}`).rejects.toThrow(/is not a whole backup|is not the key/)
  }
  const pieces = locked.length - 2 * 65_552
  const swapped = [
    locked.subarray(0, pieces),
    locked.subarray(pieces + 65_552),
    locked.subarray(pieces, pieces + 65_552),
  ]
  writeFileSync(damage, Buffer.concat(swapped))
  await expect(unlock(damage)).rejects.toThrow(refused)
  writeFileSync(damage, Buffer.concat([locked, locked.subarray(-100)]))
  await expect(unlock(damage)).rejects.toThrow(refused)
  await expect(unlock(join(folder, 'nowhere'))).rejects.toThrow('is not there')
})

test('what fails or is stopped on its way leaves no file', async () => {
  const before = readdirSync(folder)
  const path = join(folder, 'never.age')
  const breaks = async function* () {
    yield TEXT
    throw new Error('the database went away')
  }
  await expect(lock(path, breaks())).rejects.toThrow('the database went away')
  const stop = new AbortController()
  const stops = async function* () {
    yield TEXT
    stop.abort(new Error('stopped'))
    yield TEXT
  }
  await expect(lock(path, stops(), stop.signal)).rejects.toThrow('stopped')
  expect(readdirSync(folder)).toEqual(before)
  await expect(lock(join(folder, 'no', 'where.age'))).rejects.toThrow(/could not be written: ENOENT/)
})

test('BACKUP_KEY: both halves lock, one unlocks, a mistake is told in one line', async () => {
  expect(await readBackupKey(key.secret)).toEqual({ recipient: key.public, identity: key.secret })
  expect(await readBackupKey(key.public)).toEqual({ recipient: key.public, identity: undefined })
  await expect(readBackupKey('')).rejects.toThrow('stoa backup --new-key')
  const mistyped = key.public.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'))
  await expect(readBackupKey(mistyped)).rejects.toThrow('has a mistake in it')
  await expect(readIdentity(key.public)).rejects.toThrow('begins with AGE-SECRET-KEY-')
  await expect(readIdentity('')).rejects.toThrow('begins with AGE-SECRET-KEY-')
})

const TABLE = { schema: 'shop', table: 'mugs', columns: ['id', 'na"me'] }
const HEAD = { tables: [TABLE], sequences: [], migrations: [], dataKeys: [] }
const ROWS = '1\tred\n2\t\\\\.\n3\t\\.\\n\n'
const script = (rows: string, rest = '-- end [{"rows":3,"sha256":"x"}]\n') =>
  `-- stoa backup 1 ${JSON.stringify(HEAD)}\ncopy "shop"."mugs" ("id", "na""me") from stdin;\n${rows}\\.\n${rest}`
async function read(text: string, bytes: number): Promise<{ rows: string; tail: unknown }> {
  const pieces = async function* () {
    for (let at = 0; at < text.length; at += bytes) yield Buffer.from(text.slice(at, at + bytes))
  }
  const { head, rows, tail } = await readScript(pieces())
  let found = ''
  for (const table of head.tables) for await (const part of rows(table)) found += part
  return { rows: found, tail: await tail() }
}

test('the text is read the same however it is cut into pieces, and each piece of rows is whole lines', async () => {
  for (let bytes = 1; bytes < 300; bytes += 1) {
    expect(await read(script(ROWS), bytes)).toEqual({ rows: ROWS, tail: [{ rows: 3, sha256: 'x' }] })
    expect((await read(script(''), bytes)).rows).toBe('')
  }
})

test('a text that is not what we would have written is refused, and nothing of it is run', async () => {
  await expect(read('drop table users.users;\n', 10)).rejects.toThrow('of another kind or of a later version')
  await expect(read(script(ROWS).replace('"shop"."mugs"', '"shop"."cups"'), 10)).rejects.toThrow('does not go on with')
  await expect(read(script(ROWS, 'drop table users.users;\n'), 10)).rejects.toThrow('does not say what it came to')
  await expect(read(script(ROWS, ''), 10)).rejects.toThrow('ends too early')
  await expect(read(`${script(ROWS)}drop table users.users;\n`, 10)).rejects.toThrow('goes on after its end')
})
