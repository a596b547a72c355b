import pg from 'pg'

const OLDEST_SUPPORTED = 150_000
const TIMEOUTS = { statement_timeout: '15s', lock_timeout: '2s', idle_in_transaction_session_timeout: '15s' }

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
 * Bounds every statement, lock wait and idle transaction of the role that runs the service, in its database, and answers
 * whether that role is another than the owner. Refuses a PostgreSQL older than 15.
 */
export async function boundRole(appUrl: string, ownerUrl: string): Promise<{ separate: boolean }> {
  const client = new pg.Client({ connectionString: appUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ version: number; role: string; database: string }>(
      `select current_setting('server_version_num')::int as version, current_user as role, current_database() as database`,
    )
    const { version, role, database } = rows[0]!
    if (version < OLDEST_SUPPORTED)
      throw new Error(`PostgreSQL ${Math.floor(version / 10_000)} is too old: 15 or newer`)
    for (const [setting, wanted] of Object.entries(TIMEOUTS)) {
      const now = await client.query<{ value: string }>('select current_setting($1) as value', [setting])
      if (now.rows[0]!.value === wanted) continue
      await client.query(
        `alter role ${pg.escapeIdentifier(role)} in database ${pg.escapeIdentifier(database)} set ${setting} = '${wanted}'`,
      )
    }
    return { separate: role !== decodeURIComponent(new URL(ownerUrl).username) }
  } finally {
    await client.end()
  }
}
