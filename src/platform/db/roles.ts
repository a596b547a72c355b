import pg from 'pg'

const OLDEST_SUPPORTED = 150_000
const TIMEOUTS = {
  statement_timeout: '15000ms',
  lock_timeout: '2000ms',
  idle_in_transaction_session_timeout: '15000ms',
}
/** Off, a crash takes what was acknowledged with it. */
const DURABLE = ['fsync', 'full_page_writes', 'synchronous_commit']
const ROLES_LOCK = 7_862_003

/** Makes the role that owns and migrates, the one that runs the service (no DDL), and a database of the first. Needs a superuser. */
export async function makeShopDatabase(admin: pg.Client, database: string): Promise<void> {
  for (const role of ['stoa_owner', 'stoa_app']) {
    const { rowCount } = await admin.query('select from pg_roles where rolname = $1', [role])
    if (!rowCount) await admin.query(`create role ${role} login`)
  }
  const { rowCount } = await admin.query('select from pg_database where datname = $1', [database])
  if (rowCount) return
  const name = pg.escapeIdentifier(database)
  await admin.query(`create database ${name} owner stoa_owner encoding 'UTF8' template template0`)
  await admin.query(`revoke all on database ${name} from public`)
  await admin.query(`grant connect on database ${name} to stoa_app`)
}

/**
 * Bounds every statement, lock wait and idle transaction of the role that runs the service, in its database. Answers
 * whether that role is another than the owner, and which settings let a crash take what was acknowledged. Refuses a PostgreSQL older than 15, and a role that no migration gave rights.
 */
export async function boundRole(appUrl: string, ownerUrl: string): Promise<Bounded> {
  const client = new pg.Client({ connectionString: appUrl })
  await client.connect()
  try {
    const { rows } = await client.query<Session>(
      `select current_setting('server_version_num')::int as version, current_user as role, current_database() as database,
         (select json_object_agg(name, setting || coalesce(unit, '')) from pg_settings where name = any($1)) as timeouts,
         array(select name || '=off' from pg_settings where name = any($2) and setting = 'off' order by 1) as unsafe`,
      [Object.keys(TIMEOUTS), DURABLE],
    )
    const { version, role, database, timeouts, unsafe } = rows[0]!
    if (version < OLDEST_SUPPORTED)
      throw new Error(`PostgreSQL ${Math.floor(version / 10_000)} is too old: 15 or newer`)
    const separate = role !== decodeURIComponent(new URL(ownerUrl).username)
    if (separate && role !== 'stoa_app') {
      throw new Error(`DATABASE_URL connects as ${role}: the service's role is stoa_app, or the owner of the database`)
    }
    const changes = Object.entries(TIMEOUTS).filter(([name, value]) => timeouts[name] !== value)
    const target = `role ${pg.escapeIdentifier(role)} in database ${pg.escapeIdentifier(database)}`
    const alter = changes.map(([name, value]) => `alter ${target} set ${name} = '${value}'`)
    // Two that alter one role at once would fail.
    const turn = `begin; select pg_advisory_xact_lock(${ROLES_LOCK})`
    if (alter.length > 0) await client.query([turn, ...alter, 'commit'].join('; '))
    return { separate, unsafe }
  } finally {
    await client.end()
  }
}

type Bounded = { readonly separate: boolean; readonly unsafe: readonly string[] }
type Session = {
  readonly version: number
  readonly role: string
  readonly database: string
  readonly timeouts: Record<string, string>
  readonly unsafe: string[]
}
