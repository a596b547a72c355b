import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Balancer, startBalancer } from '../kit/balancer.ts'
import { variantOf } from '../kit/buyer.ts'
import { sized } from '../kit/chaos.ts'
import { freePort } from '../kit/free-port.ts'
import { answers, endOf, launch, runToEnd } from '../kit/launch.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { startTraffic } from '../kit/traffic.ts'
import { verdict } from '../kit/verdict.ts'

const ROOT = join(import.meta.dirname, '../..')
const CARTS = 120_000
const IN_THE_WAY_MS = sized(3_000, 15_000)
const PER_SECOND = 50
const LONGEST_WAIT_MS = 1_000

/** What a newer version brings: a column that code of before leaves out, a check of every row, an index. */
const NEWER = {
  '9001_hints.sql': `alter table orders.carts add column hint text not null default 'none';
    comment on column orders.carts.hint is 'not personal'`,
  '9002_hints_checked.sql': `alter table orders.carts add constraint carts_hint check (hint <> '') not valid`,
  '9003_hints_validated.sql': `-- no-transaction
create index concurrently if not exists carts_hint on orders.carts (hint, updated_at);
alter table orders.carts validate constraint carts_hint;
`,
}

let postgres: TestPostgres
let cluster: Cluster
let balancer: Balancer
let newer: { readonly folder: string; readonly cli: string; readonly url: string }
beforeAll(async () => {
  postgres = await startPostgres()
  cluster = await startCluster(postgres, { services: 2, env: { DRAIN_MS: '5000' } })
  await cluster.stock({ mug: 100_000 })
  newer = { ...newerCheckout(), url: `http://127.0.0.1:${await freePort()}` }
  balancer = await startBalancer([...cluster.services.map(({ url }) => url), newer.url])
}, 90_000)
afterAll(async () => {
  await balancer.close()
  await cluster.stop()
  await postgres.stop()
  rmSync(newer.folder, { recursive: true })
})

test('P20: two processes sell while a newer version migrates, with long transactions in its way, and beside that version', {
  timeout: 200_000,
}, async () => {
  const variantId = await variantOf(balancer.url, 'mug')
  const traffic = startTraffic(balancer.url, variantId, PER_SECOND)
  await fillCarts()
  const watch = watchLocks()
  const reading = await openTransaction('select count(*) from orders.carts')
  const migrating = runToEnd([newer.cli, 'migrate'], cluster.env)
  await pause(IN_THE_WAY_MS)
  const older = await openTransaction('select count(*) from platform.migrations')
  await reading.end()
  await isBegun()
  await pause(IN_THE_WAY_MS)
  await older.end()
  const migrated = await migrating
  const beside = launch([newer.cli, 'serve'], { ...cluster.env, PORT: new URL(newer.url).port })
  await answers(`${newer.url}/health/ready`, beside)
  // Code of before can also be started again, as when the newer version is taken back.
  await cluster.services[1]?.end('SIGTERM')
  await cluster.services[1]?.start()
  const { sent, failed, p99Ms } = await traffic.stop()
  const longestMs = await watch.stop()
  await endOf(beside.child, 'SIGTERM')
  verdict({
    promise: 'P20',
    tried: `a column, a check and an index on ${CARTS} carts at ${PER_SECOND} requests/s, old and new code side by side`,
    n: sent,
    p99Ms,
    violations: [
      ...failed,
      ...(migrated.code === 0 ? [] : [`stoa migrate: ${migrated.output}`]),
      ...((await isBuilt()) ? [] : ['the index is not valid']),
      ...(longestMs > LONGEST_WAIT_MS ? [`somebody waited ${longestMs} ms for a table`] : []),
    ],
  })
})

test('P20: a migration killed while it builds an index is ended by the next one', { timeout: 60_000 }, async () => {
  expect((await runToEnd([newer.cli, 'migrate'], cluster.env)).code).toBe(0)
  await postgres.query('drop index orders.carts_hint')
  await postgres.query(`delete from platform.migrations where name = '9003_hints_validated.sql'`)
  const older = await openTransaction('select count(*) from platform.migrations')
  const { child } = launch([newer.cli, 'migrate'], cluster.env)
  await isBegun()
  await endOf(child, 'SIGKILL')
  await postgres.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stoa migrate'`)
  await older.end()
  const interrupted = await isBuilt()
  const { code, output } = await runToEnd([newer.cli, 'migrate'], cluster.env)
  verdict({
    promise: 'P20',
    tried: 'stoa migrate killed while it builds an index, then run again',
    n: 1,
    violations: [
      ...(interrupted ? ['it was not interrupted'] : []),
      ...(code === 0 ? [] : [output]),
      ...((await isBuilt()) ? [] : ['the index is not valid']),
    ],
  })
})

/** A copy of this checkout with the migrations of a newer version. */
function newerCheckout() {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-newer-'))
  for (const part of ['src', 'migrations', 'package.json', 'catalogue'])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const [name, sql] of Object.entries(NEWER)) writeFileSync(join(folder, 'migrations', name), sql)
  return { folder, cli: join(folder, 'src/cli.ts') }
}

/** Makes many carts of one that a buyer made. */
async function fillCarts(): Promise<void> {
  await expect.poll(() => postgres.query('select from orders.carts limit 1'), { timeout: 10_000 }).toHaveLength(1)
  await postgres.query(`
    insert into orders.carts select filled.*
    from (select c from orders.carts c limit 1) one, generate_series(1, ${CARTS}) g,
      jsonb_populate_record(one.c, jsonb_build_object('id', 'cart_' || g)) filled`)
}

const isBegun = () =>
  expect
    .poll(() => postgres.query(`select from pg_class where relname = 'carts_hint'`), { timeout: 40_000 })
    .toHaveLength(1)

const isBuilt = async (): Promise<boolean> => {
  const rows = await postgres.query(
    `select from pg_index where indexrelid = to_regclass('orders.carts_hint') and indisvalid`,
  )
  return rows.length > 0
}

/** Somebody who reads, and does not end: an export, a report. */
async function openTransaction(statement: string) {
  const client = new pg.Client({ connectionString: postgres.adminUrl })
  await client.connect()
  await client.query('begin isolation level repeatable read')
  await client.query(statement)
  return client
}

/** How long anybody but the migration itself waited for a table, at most. */
function watchLocks() {
  let [isOn, longestMs] = [true, 0]
  const watching = (async () => {
    const client = await openTransaction('commit')
    while (isOn) {
      const { rows } = await client.query(
        `select extract(epoch from max(clock_timestamp() - waitstart)) * 1000 as ms from pg_locks
         join pg_stat_activity a using (pid)
         where locktype = 'relation' and not granted and application_name <> 'stoa migrate'`,
      )
      longestMs = Math.max(longestMs, Math.round(Number(rows[0].ms)))
      await pause(25)
    }
    await client.end()
  })()
  return {
    stop: async () => {
      isOn = false
      await watching
      return longestMs
    },
  }
}
