import { type Damage, DamagedFile, type Source } from '#kernel/file.ts'
import type { ImportId, UserId } from '#kernel/ids.ts'
import type { Command, Perform } from '#platform/db/perform.ts'
import type { Work } from '#platform/db/work.ts'
import { fieldOf } from '../domain/import-columns.ts'
import { type FileRecord, type ImportedUser, type RowProblem, readUser } from '../domain/import-user.ts'

export type UsersFormat = 'csv' | 'ndjson'

/** A customer to be saved. */
export type NewCustomer = ImportedUser & { readonly id: UserId; readonly emailIndex: Buffer }

export type ImportUsersNeeds = {
  readonly perform: Perform
  readonly clock: () => Date
  /** Reads a file person by person; throws DamagedFile where it cannot. */
  readonly readRecords: (source: Source, format: UsersFormat) => AsyncIterable<FileRecord>
  readonly hashProblem: (hash: string) => string | undefined
  readonly emailIndex: (email: string) => Buffer
  readonly newUserId: () => UserId
  readonly newImportId: () => ImportId
  /** Saves those whose address has no account; returns how many these were. */
  readonly insertCustomers: (work: Work, customers: readonly NewCustomer[]) => Promise<number>
  /** How many of these addresses have an account. */
  readonly countTaken: (work: Work, emailIndexes: readonly Buffer[]) => Promise<number>
}

export type ImportUsersRequest = {
  readonly source: Source
  readonly format: UsersFormat
  /** Reads and compares everything, and saves nothing. */
  readonly dryRun?: boolean
  readonly onProgress?: (done: number, all: number) => void
  /** Ends the import between two batches; run again, it goes on from there. */
  readonly signal?: AbortSignal
}

export type UsersReport = {
  /** People in the file. */
  readonly people: number
  readonly created: number
  /** Their address had an account before; it was left as it is. */
  readonly existing: number
  /** Of all that are sound: no password works until they reset it. */
  readonly withoutPassword: number
  readonly refused: readonly RowProblem[]
  /** Columns that are not read. */
  readonly otherColumns: readonly string[]
}

export type ImportUsersOutcome =
  | { readonly status: 'finished'; readonly report: UsersReport }
  | { readonly status: 'refused'; readonly problem: Damage }

/** A batch is one transaction. */
const BATCH = 200

/**
 * Makes customers of the people in a file of another system, with the password hashes that it had. The whole file is read
 * first: a damaged one is refused with its place and nothing of it is applied; rows that are wrong by themselves are left
 * out and told. An address that has an account is left alone, so that the same file again goes on where it stopped, and
 * changes nothing at the end. Each batch that made accounts leaves an audit row.
 */
export const importUsers =
  (needs: ImportUsersNeeds) =>
  async (command: Command, request: ImportUsersRequest): Promise<ImportUsersOutcome> => {
    try {
      return { status: 'finished', report: await importFile(needs, command, request) }
    } catch (error) {
      if (error instanceof DamagedFile) return { status: 'refused', problem: error.damage }
      throw error
    }
  }
export type ImportUsers = ReturnType<typeof importUsers>

async function importFile(
  needs: ImportUsersNeeds,
  command: Command,
  request: ImportUsersRequest,
): Promise<UsersReport> {
  const { source, format, dryRun = false, signal, onProgress } = request
  const { people, otherColumns } = await inspect(needs.readRecords(source, format))
  const importId = needs.newImportId()
  const rules = { now: needs.clock(), hashProblem: needs.hashProblem }
  const rowOf = new Map<string, number>()
  const refused: RowProblem[] = []
  let [done, created, sound, withoutPassword] = [0, 0, 0, 0]
  let batch: NewCustomer[] = []

  const save = async () => {
    signal?.throwIfAborted()
    const customers = batch
    batch = []
    if (customers.length === 0) return
    created += await needs.perform(command, (work) => saveBatch(needs, work, importId, customers, dryRun))
    sound += customers.length
    withoutPassword += customers.filter(({ passwordHash }) => passwordHash === null).length
    onProgress?.(done, people)
  }
  for await (const record of needs.readRecords(source, format)) {
    done += 1
    const read = readUser(record, rules)
    if ('reason' in read) {
      refused.push(read)
      continue
    }
    const emailIndex = needs.emailIndex(read.email)
    const key = emailIndex.toString('base64')
    const earlier = rowOf.get(key)
    if (earlier !== undefined) {
      refused.push({ row: read.row, column: 'email', reason: `is that of row ${earlier} as well` })
      continue
    }
    rowOf.set(key, read.row)
    batch.push({ ...read, id: needs.newUserId(), emailIndex })
    if (batch.length === BATCH) await save()
  }
  await save()
  onProgress?.(people, people)
  return { people, created, existing: sound - created, withoutPassword, refused, otherColumns }
}

async function saveBatch(
  needs: ImportUsersNeeds,
  work: Work,
  importId: ImportId,
  customers: readonly NewCustomer[],
  dryRun: boolean,
): Promise<number> {
  const emailIndexes = customers.map(({ emailIndex }) => emailIndex)
  if (dryRun) return customers.length - (await needs.countTaken(work, emailIndexes))
  const created = await needs.insertCustomers(work, customers)
  const after = { fromRow: customers[0]?.row, toRow: customers.at(-1)?.row, created }
  if (created > 0) work.audit({ action: 'users.import', subject: importId, before: null, after })
  return created
}

const MAX_OTHER_COLUMNS = 50

/** Reads the whole file once: how many people it has, and which columns are not read. */
async function inspect(records: AsyncIterable<FileRecord>): Promise<Pick<UsersReport, 'people' | 'otherColumns'>> {
  const otherColumns = new Set<string>()
  let people = 0
  for await (const record of records) {
    people += 1
    if ('values' in record && otherColumns.size < MAX_OTHER_COLUMNS)
      for (const column of record.values.keys()) if (!fieldOf(column)) otherColumns.add(column)
  }
  return { people, otherColumns: [...otherColumns].slice(0, MAX_OTHER_COLUMNS) }
}
