import type { Client } from 'pg'

type Table = {
  readonly name: string
  readonly file: string
  readonly columns: Readonly<Record<string, { type: string; required: boolean; filled: boolean }>>
  readonly checks: readonly string[]
  readonly indexes: readonly string[]
}

/** What may run beside the work of a living shop, and may be run again where it was interrupted. */
const BESIDE_WORK = [
  /^create (unique )?index concurrently if not exists /i,
  /^drop index concurrently if exists /i,
  /^alter table \S+ validate constraint \S+$/i,
]

/**
 * Applies one migration and says, of the tables that were there before, what a living shop would not bear: what waits for
 * every row under a lock, and what takes from code of before what it reads or does not fill.
 */
export async function lint(owner: Client, sql: string, end: 'commit' | 'rollback' = 'commit'): Promise<string[]> {
  if (/\bset\s+(local\s+)?(lock_timeout|statement_timeout)/i.test(sql)) return ['sets its own time-outs']
  if (/^-- no-transaction\b/.test(sql)) return lintBeside(owner, sql)
  const before = await tablesOf(owner)
  await owner.query('begin')
  await owner.query(sql)
  const after = await tablesOf(owner)
  const { locked, written } = await locksOf(owner)
  await owner.query(end)
  const wasThere = (name: string) => [...before.values()].some((table) => table.name === name)
  const lockedBefore = locked.filter(wasThere)
  return [
    ...[...before].flatMap(([id, table]) => [...changesOf(table, after.get(id))]),
    ...written.filter(wasThere).map((name) => `changes rows of ${name} in one transaction`),
    ...(lockedBefore.length > 1 ? [`locks ${lockedBefore.join(' and ')} at once: one file for each`] : []),
  ]
}

async function lintBeside(owner: Client, sql: string): Promise<string[]> {
  const statements = sql
    .replace(/^--.*$/gm, '')
    .split(/;[ \t]*$/m)
    .map((statement) => statement.trim().replaceAll(/\s+/g, ' '))
    .filter(Boolean)
  const unfit = statements.filter((statement) => !BESIDE_WORK.some((form) => form.test(statement)))
  if (unfit.length > 0)
    return unfit.map((statement) => `needs a transaction, or cannot be repeated: ${statement.slice(0, 60)}`)
  for (const statement of statements) await owner.query(statement)
  return []
}

function* changesOf(before: Table, after: Table | undefined): Generator<string> {
  const { name } = before
  if (!after) return yield `drops ${name}`
  if (after.name !== name) yield `renames ${name}`
  if (after.file !== before.file) yield `rewrites ${name}`
  for (const [column, was] of Object.entries(before.columns)) {
    const is = after.columns[column]
    if (!is) yield `drops or renames ${name}.${column}`
    else if (is.type !== was.type) yield `changes the type of ${name}.${column}`
    else if (is.required && !was.required) yield `requires ${name}.${column}, which it looks for in every row`
  }
  for (const [column, { required, filled }] of Object.entries(after.columns))
    if (!before.columns[column] && required && !filled)
      yield `requires ${name}.${column}, which code of before leaves out`
  for (const check of after.checks)
    if (!before.checks.includes(check)) yield `checks every row of ${name} for ${check}: not valid, then validate`
  for (const index of after.indexes)
    if (!before.indexes.includes(index)) yield `builds ${index} while nobody may write ${name}: concurrently`
}

/** Tables by their number. A not null without default is no check here: it stands with its column. */
async function tablesOf(owner: Client): Promise<ReadonlyMap<string, Table>> {
  const { rows } = await owner.query<Table & { id: string }>(`
    select t.oid::text as id, t.oid::regclass::text as name, pg_relation_filenode(t.oid)::text as file,
      (select json_object_agg(attname, json_build_object(
          'type', format_type(atttypid, atttypmod), 'required', attnotnull, 'filled', atthasdef or attidentity <> ''))
        from pg_attribute where attrelid = t.oid and attnum > 0 and not attisdropped) as columns,
      array(select conname::text from pg_constraint
        where conrelid = t.oid and convalidated and contype in ('c', 'f')) as checks,
      array(select indexrelid::regclass::text from pg_index where indrelid = t.oid) as indexes
    from pg_class t join pg_namespace n on n.oid = relnamespace
    where relkind = 'r' and nspname !~ '^(pg_|information_schema|graphile_worker)'`)
  return new Map(rows.map(({ id, ...table }) => [id, table]))
}

async function locksOf(owner: Client): Promise<{ locked: string[]; written: string[] }> {
  const { rows } = await owner.query(`
    select array_agg(distinct relation::regclass::text) filter (where mode = 'AccessExclusiveLock') as locked,
      array_agg(distinct relation::regclass::text) filter (where mode = 'RowExclusiveLock') as written
    from pg_locks join pg_class c on c.oid = relation
    where pid = pg_backend_pid() and relkind = 'r' and relnamespace::regnamespace::text !~ '^pg_'`)
  return { locked: rows[0].locked ?? [], written: rows[0].written ?? [] }
}
