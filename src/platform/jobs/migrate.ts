import { runMigrations } from 'graphile-worker'
import { connectLibrary } from './connect.ts'

const WAIT_FOR_TWIN = `set lock_timeout = '60s'; select pg_advisory_lock(hashtextextended('graphile_worker', 0))`

/** The library enables row level security without policies, which hides every row from all but the owner: here grants decide alone. */
const OPEN_TO_SERVICE = `
do $$
declare
  guarded regclass;
begin
  for guarded in select oid from pg_class where relnamespace = 'graphile_worker'::regnamespace and relrowsecurity loop
    execute format('alter table %s disable row level security', guarded);
  end loop;
  if exists (select from pg_roles where rolname = 'stoa_app') and current_user <> 'stoa_app' then
    grant usage on schema graphile_worker to stoa_app;
    grant select, insert, update, delete on all tables in schema graphile_worker to stoa_app;
    revoke insert, update, delete on graphile_worker.migrations from stoa_app;
  end if;
end $$`

/** Installs or upgrades the tables of the job queue as their owner, for the service's role to use. May run twice at once. */
export async function migrateJobs(ownerUrl: string): Promise<void> {
  const library = connectLibrary(ownerUrl, 1)
  try {
    await library.pgPool.query(WAIT_FOR_TWIN)
    await runMigrations(library)
    await library.pgPool.query(OPEN_TO_SERVICE)
  } finally {
    await library.pgPool.end()
  }
}
