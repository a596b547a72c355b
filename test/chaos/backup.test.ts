import { randomUUID } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeBackupKey } from '#platform/backup/key.ts'
import { unlockFile } from '#platform/backup/locked-file.ts'
import { locateEmbedded } from '#platform/db/embedded.ts'
import { seeded } from '#src/sandbox/seeded.ts'
import { send, variantOf } from '../kit/buyer.ts'
import { FULL, SEED, sized } from '../kit/chaos.ts'
import { type DebianPostgres, hasDebianPostgres, startDebianPostgres } from '../kit/debian-postgres.ts'
import type { Ended, Environment } from '../kit/launch.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { type Acknowledged, aCustomer, aRefund, keepSelling, type Market } from '../kit/selling.ts'
import { verdict } from '../kit/verdict.ts'

/**
 * P26: a shop is backed up while it sells, its machine is lost, and the backup is restored on another one: it goes on there, with
 * every order that was acknowledged before the backup began.
 */
const HANDLES = ['kept-mug', 'kept-bowl', 'kept-plate']
const folder = mkdtempSync(join(tmpdir(), 'stoa-backup-'))
chmodSync(folder, 0o755)
const key = await makeBackupKey()

let debian: DebianPostgres | undefined
beforeAll(async () => {
  debian = hasDebianPostgres ? await startDebianPostgres() : undefined
})
afterAll(async () => {
  await debian?.stop()
  rmSync(folder, { recursive: true, force: true })
})

type Kind = 'embedded' | 'PostgreSQL 15'
type Machine = Environment & { readonly STOA_DATA_DIR: string; readonly DATABASE_OWNER_URL: string }

/** A new machine: an empty data folder, and where its database is. An empty DATABASE_URL means the embedded one. */
async function aMachine(name: string, kind: Kind): Promise<Machine> {
  const dataDir = join(folder, `${name}-${kind}`)
  mkdirSync(dataDir)
  if (kind !== 'embedded' && !debian) throw new Error('PostgreSQL 15 is missing: apt-get install postgresql-15.')
  const database = kind === 'embedded' ? undefined : await debian?.makeDatabase(name)
  const urls = { DATABASE_URL: database?.url ?? '', DATABASE_OWNER_URL: database?.ownerUrl ?? '' }
  return { STOA_DATA_DIR: dataDir, ...urls, SANDBOX_URL: '' }
}

/** What was kept apart from the backup, the keys, and what outlives our machine by itself, the provider's books. */
function bring(from: Machine, to: Machine): void {
  for (const file of ['keys.json', 'sandbox.jsonl'])
    copyFileSync(join(from.STOA_DATA_DIR, file), join(to.STOA_DATA_DIR, file))
}

async function query(machine: Machine, text: string): Promise<any[]> {
  const embedded = () => locateEmbedded(join(machine.STOA_DATA_DIR, 'pg'))
  const client = new pg.Client({ connectionString: machine.DATABASE_OWNER_URL || (await embedded())?.ownerUrl })
  await client.connect()
  return client.query(text).then(
    ({ rows }) => client.end().then(() => rows),
    (error) => client.end().then(() => Promise.reject(error)),
  )
}

/** So that saving takes a while, with what comes after the orders and before their events: an old shop's audit log. */
const growOld = (machine: Machine) =>
  query(
    machine,
    `insert into platform.audit_log (occurred_at, actor_kind, request_id, action, subject, after)
     select now(), 'staff', 'req_' || n, 'catalog.adjust-stock', 'var_' || n, '{"onHand": 7}' from generate_series(1, 30000) n`,
  )

/** The tables that hold anything, whatever schema they are in. */
async function filledTables(machine: Machine): Promise<string[]> {
  const rows = await query(
    machine,
    `select schemaname || '.' || tablename as name,
       query_to_xml(format('select from %I.%I limit 1', schemaname, tablename), true, false, '')::text ~ '<row' as filled
     from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  )
  return rows.filter(({ filled }) => filled).map(({ name }) => name)
}

/** What would tell that tables were saved at different moments. */
const halves = async (machine: Machine): Promise<string[]> =>
  (
    await query(
      machine,
      `select 'event without its order: ' || e.subject as half from platform.events e
         left join orders.orders o on o.id = e.subject where e.subject like 'ord\\_%' and o.id is null
       union all
       select 'order without its event: ' || o.id from orders.orders o
         left join platform.events e on e.subject = o.id where e.id is null`,
    )
  ).map(({ half }) => half)

const jsonOf = ({ output }: Ended) => JSON.parse(output.slice(output.search(/^[{[]/m)))

/** Every invariant, also of what is young, asked until the shop has come to rest. */
async function auditAtRest(cluster: Cluster, machine: Machine): Promise<string[]> {
  for (const until = Date.now() + 15_000; ; await pause(300)) {
    const audited = await cluster.stoaWith(machine, 'audit', '--all', '--json')
    if (audited.code === 0) return []
    if (Date.now() < until) continue
    return jsonOf(audited).flatMap(({ id, violations }: any) =>
      violations.map(({ subject, detail }: any) => `${id} ${subject}: ${detail}`),
    )
  }
}

/** What is wrong with an order on the new machine. */
async function compare(url: string, order: Acknowledged, name: string): Promise<string[]> {
  const { status, body } = await send(url, 'GET', `/v1/orders/${order.id}`, undefined, order.asBuyer)
  if (status !== 200) return [`${order.id} answers ${status}`]
  const goods = ({ lines, totals }: Acknowledged) => JSON.stringify([lines, totals])
  return [
    ...(goods(body) === goods(order) ? [] : [`${order.id} has other lines or another total`]),
    ...(body.shippingAddress?.name === name ? [] : [`${order.id} goes to ${body.shippingAddress?.name}`]),
  ]
}

async function textOf(file: string): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of unlockFile(file, key.secret)) parts.push(part)
  return Buffer.concat(parts).toString()
}

describe.each<Kind>(['embedded', 'PostgreSQL 15'])('%s', (kind) => {
  test.skipIf(kind !== 'embedded' && !hasDebianPostgres && !FULL)(
    'P26: backed up while it sells, lost with its machine, and selling again on another one',
    { timeout: 240_000 },
    async () => {
      const violations: string[] = []
      const tried = `a shop on ${kind} backed up while it sells, restored on another machine`
      const tell = (n: number) => verdict({ promise: 'P26', tried, n, violations, seed: SEED })
      const [lost, found] = [await aMachine('lost', kind), await aMachine('found', kind)]
      const cluster = await startCluster({ url: '', ownerUrl: '' }, { services: 1, env: lost })
      const [service] = cluster.services
      const { url } = service
      try {
        await cluster.stock(Object.fromEntries(HANDLES.map((handle) => [handle, 100_000])))
        await growOld(lost)
        const variants = await Promise.all(HANDLES.map((handle) => variantOf(url, handle)))
        await aRefund(url, variants[0] as string, await cluster.asOwner())
        const name = `Zq${randomUUID().replaceAll('-', '')}`
        const market: Market = { variants, name, customer: await aCustomer(url, name), random: seeded(SEED) }

        const selling = keepSelling(url, market)
        await selling.reaches(sized(30, 300))
        const [known, filled] = [[...selling.acknowledged], await filledTables(lost)]
        const file = join(folder, `${kind}.age`)
        const how = FULL ? [] : ['--no-verify']
        const saved = await cluster.stoaWith({ ...lost, BACKUP_KEY: key.public }, 'backup', file, ...how)
        await selling.reaches(known.length + 5)
        await selling.stop()
        await service.end('SIGKILL')
        if (saved.code !== 0) violations.push(`stoa backup: ${saved.output}`)

        bring(lost, found)
        const restored = await cluster.stoaWith({ ...found, BACKUP_KEY: key.secret }, 'restore', file, '--json')
        if (restored.code !== 0) violations.push(`stoa restore: ${restored.output}`)
        else if (jsonOf(restored).sealedValues < 2 * known.length) violations.push('it opened too few sealed values')
        if (!/^\{/m.test(restored.output)) return tell(known.length)
        await service.start(found)
        const there = new Set(await filledTables(found))
        violations.push(...filled.filter((table) => !there.has(table)).map((table) => `${table} is empty`))
        violations.push(...(await halves(found)))
        for (const order of known) violations.push(...(await compare(url, order, name)))
        const again = keepSelling(url, market)
        await again.reaches(10).catch(({ message }) => violations.push(message))
        await again.stop()
        violations.push(...selling.failed, ...again.failed)
        violations.push(...(await auditAtRest(cluster, found)))

        const text = await textOf(file)
        expect(text).toContain(known[0]?.id)
        const leaks = (bytes: string) => bytes.toLowerCase().includes(name.toLowerCase())
        if (leaks(text) || leaks(readFileSync(file).toString('latin1')))
          violations.push('personal data is in it in clear')
        tell(known.length)
      } finally {
        await cluster.stop()
      }
    },
  )
})
