import { columnsOf, type Digest, type Head, nameOf, nameOfSequence, type Sequence, type Table } from './contents.ts'

/**
 * The text of a backup: SQL that psql reads too. Its first line is a comment with what is in it, its last one a comment with what each
 * table came to. Reading, each line must be the one that we would have written: nothing that stands there is run.
 */
const HEAD = '-- stoa backup 1 '
const TAIL = '-- end '
export const END_OF_ROWS = '\\.\n'

export const headLine = (head: Head): string => `${HEAD}${JSON.stringify(head)}\n`
export const copyLine = (table: Table): string => `copy ${nameOf(table)} (${columnsOf(table)}) from stdin;\n`
export const sequenceLine = (sequence: Sequence): string =>
  `select setval('${nameOfSequence(sequence)}', ${sequence.last});\n`
export const tailLine = (digests: readonly Digest[]): string => `${TAIL}${JSON.stringify(digests)}\n`

/** A backup as it is read: first the head, then each table's rows in the head's order, then the tail. */
export type Script = {
  readonly head: Head
  /** The rows of the next table, in whole lines. */
  rows(table: Table): AsyncGenerator<Buffer>
  tail(): Promise<readonly Digest[]>
}

const NEWLINE = 10
const END_INSIDE = `\n${END_OF_ROWS}`

/** Begins to read a backup. Throws one line where the text is not what a backup of ours says. */
export async function readScript(parts: AsyncIterable<Buffer>): Promise<Script> {
  const source = parts[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<void> {
    const { done, value } = await source.next()
    if (done) throw notOurs('it ends too early')
    held = held.length > 0 ? Buffer.concat([held, value]) : value
  }
  function take(bytes: number, dropped = 0): Buffer {
    const taken = held.subarray(0, bytes)
    held = held.subarray(bytes + dropped)
    return taken
  }
  async function line(): Promise<string> {
    while (!held.includes(NEWLINE)) await more()
    return take(held.indexOf(NEWLINE) + 1).toString()
  }
  async function expectLine(wanted: string): Promise<void> {
    if ((await line()) !== wanted) throw notOurs(`it does not go on with ${wanted.trim().slice(0, 80)}`)
  }

  const first = await line()
  if (!first.startsWith(HEAD)) throw notOurs('it is of another kind or of a later version')
  const head = JSON.parse(first.slice(HEAD.length)) as Head
  return {
    head,
    rows: async function* (table) {
      await expectLine(copyLine(table))
      for (;;) {
        if (held.subarray(0, END_OF_ROWS.length).equals(Buffer.from(END_OF_ROWS))) return void take(END_OF_ROWS.length)
        const end = held.indexOf(END_INSIDE)
        if (end >= 0) return yield take(end + 1, END_OF_ROWS.length)
        const lines = held.lastIndexOf(NEWLINE) + 1
        if (lines > 0) yield take(lines)
        await more()
      }
    },
    tail: async () => {
      for (const sequence of head.sequences) await expectLine(sequenceLine(sequence))
      const last = await line()
      if (!last.startsWith(TAIL)) throw notOurs('it does not say what it came to')
      if (held.length > 0 || !(await source.next()).done) throw notOurs('it goes on after its end')
      return JSON.parse(last.slice(TAIL.length)) as Digest[]
    },
  }
}

const notOurs = (why: string) => new Error(`this is not a backup that this version of Stoa wrote: ${why}`)
