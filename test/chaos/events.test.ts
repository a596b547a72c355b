import { randomUUID } from 'node:crypto'
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { comeToRest, jobsLeft } from '../kit/at-rest.ts'
import { fillCart, pay, placeOrder, send, variantOf } from '../kit/buyer.ts'
import { SEED, shuffled, sized } from '../kit/chaos.ts'
import { neverTold, violationsIn } from '../kit/checker.ts'
import { advanceClock } from '../kit/clock.ts'
import { timesPassed } from '../kit/failpoints.ts'
import { type History, openHistory } from '../kit/history.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, type ShopProcess, startCluster } from '../kit/processes.ts'
import { openSmtp, type Smtp } from '../kit/smtp.ts'
import { verdict } from '../kit/verdict.ts'
import { audited, mailingTo, mailsDue, mailsOnce, readBooks, readSandbox } from '../kit/witnesses.ts'

/** P9: events are delivered at least once and act once. Services without background work, two workers whose clocks are apart. */
let postgres: TestPostgres
let cluster: Cluster
let smtp: Smtp
let workers: readonly [ShopProcess, ShopProcess]
let variantId: string
let owner: { authorization: string }
const folder = mkdtempSync(join(tmpdir(), 'stoa-events-'))
const [passed, lateClock] = [join(folder, 'passed'), join(folder, 'clock')]

const CLIENTS = 4
const COMES_BY_MS = 20_000
const APART_MS = -90_000
const AFTER_EVERY_LEASE_MINUTES = 5
const LEASE_MINUTES = 2
const IDLE_IN_TRANSACTION_MS = 15_000
const FAILING = [
  ['payments.captured.v1', 'orders.mark-paid'],
  ['payments.refunded.v1', 'orders.count-refund'],
] as const

beforeAll(async () => {
  appendFileSync(passed, '')
  await advanceClock(lateClock, APART_MS)
  ;[postgres, smtp] = await Promise.all([startPostgres(), openSmtp({ user: 'shop', pass: 'secret' })])
  const env = { ...mailingTo(smtp), FAILPOINTS_PASSED: passed, DRAIN_MS: '0' }
  cluster = await startCluster(postgres, { services: 2, workers: 2, env })
  workers = cluster.workers as unknown as typeof workers
  await cluster.stock({ mug: 100_000 })
  variantId = await variantOf(cluster.services[0].url, 'mug')
  owner = await cluster.asOwner()
}, 90_000)
afterAll(async () => {
  await cluster?.stop()
  await Promise.all([postgres?.stop(), smtp?.close()])
  rmSync(folder, { recursive: true, force: true })
})

const startWorkers = () => Promise.all([workers[0].start(), workers[1].start({ CLOCK_FILE: lateClock })])
const killWorkers = () => Promise.all(workers.map((worker) => worker.end('SIGKILL')))
const count = async (what: string): Promise<number> =>
  Number((await postgres.query(`select count(*) ${what}`))[0].count)
const failed = () => count('from platform.deliveries where parked_at is null')
const until = async (what: string, holds: () => Promise<boolean> | boolean, timeoutMs = COMES_BY_MS) => {
  for (const late = Date.now() + timeoutMs; !(await holds()); await pause(20))
    if (Date.now() > late) throw new Error(`It was waited for in vain that ${what}.`)
}

/** The time goes on for everybody, whose clock is late as well. */
async function advance(minutes: number): Promise<void> {
  await Promise.all([cluster.advance(minutes), advanceClock(lateClock, minutes * 60_000)])
  owner = await cluster.asOwner()
}

/** An order that is paid; every other one is given back in part, and has its units counted by staff. */
async function purchase(history: History, n: number): Promise<void> {
  const { url } = cluster.services[n % 2] as Cluster['services'][0]
  const lines = [{ variantId, quantity: 1 }]
  const cart = await fillCart(url, lines)
  if (!('token' in cart)) return pause(200)
  const [ordered, paid, refunded] = [randomUUID(), randomUUID(), randomUUID()]
  const { body: order } = await history.insist({ what: 'order', cartId: cart.id, lines }, ordered, () =>
    placeOrder(url, cart, ordered),
  )
  if (!order?.payment) return
  const paymentId: string = order.payment.id
  await history.insist({ what: 'payment', paymentId }, paid, () => pay(url, order, 'tok_ok', paid))
  if (n % 2 === 0) return
  const refund = { amount: { amountMinor: 300, currency: 'USD' }, reason: 'Scratched' }
  await history.insist({ what: 'refund', paymentId, amountMinor: 300 }, refunded, () =>
    send(url, 'POST', `/v1/payments/${paymentId}/refunds`, refund, { ...owner, 'idempotency-key': refunded }),
  )
  await send(url, 'POST', '/v1/inventory/adjustments', { variantId, change: 1, reason: 'Counted' }, owner)
}

/** How often a worker came to this place and did that there. */
const timesAt = (what: string) => timesPassed(passed, what)

/** Waits for captures and refunds that nobody heard of, and notes of some that their one consumer has failed so often. */
async function failSome(attempts = 1): Promise<void> {
  for (const [type, consumer] of FAILING) {
    const waiting = `from platform.events where published_at is null and type = '${type}'`
    await until(`some are waiting: ${type}`, async () => (await count(waiting)) > 2)
    await postgres.query(`
      with failed as (
        update platform.events set published_at = now() where id in (select id ${waiting} order by id limit 5) returning id
      )
      insert into platform.deliveries (consumer, event_id, attempts, next_attempt_at, last_error)
      select '${consumer}', id, ${attempts}, now() - interval '1 hour', 'It was not its day.' from failed`)
  }
}

/** Both workers are killed, and one that is started anew dies at the last of these places. */
async function dieAt(failpoints: string, prepare = () => Promise.resolve()): Promise<void> {
  await killWorkers()
  await prepare()
  const dying = (failpoints.split(';').at(-1) ?? '').replace('=', ' ')
  const before = timesAt(dying)
  // It may die there before it is ready.
  await workers[0].start({ FAILPOINTS: failpoints }).catch(() => {})
  await until(`a worker dies: ${failpoints}`, () => workers[0].isGone())
  expect(timesAt(dying), `how often a worker died: ${failpoints}`).toBe(before + 1)
  await startWorkers()
}

/** Whoever has hung or died has let go of what they had leased. */
async function takenOver(): Promise<void> {
  await advance(LEASE_MINUTES - APART_MS / 60_000)
  await until('another one takes over', async () => (await failed()) === 0, 2 * IDLE_IN_TRANSACTION_MS)
}

/** The last try of events is begun and not noted; they have it again at once: no other fault may make it fail. */
async function dieBeforeParking(): Promise<void> {
  await dieAt('consumer.before-ack=error;delivery.before-park=kill', () => failSome(7))
  await takenOver()
}

/** A worker hangs for longer than its lease, another one takes over, and the first goes on where it was. */
async function hangAt(place: string): Promise<void> {
  await killWorkers()
  await failSome()
  const before = timesAt(`${place} delay`)
  await workers[0].start({ FAILPOINTS: `${place}=delay:2000` })
  await until(`a worker comes by ${place}`, () => timesAt(`${place} delay`) > before)
  workers[0].hang()
  await workers[1].start({ CLOCK_FILE: lateClock })
  await takenOver()
  workers[0].resume()
  // In order: what it had leased it tries before.
  await workers[0].end('SIGTERM')
  await workers[0].start()
}

async function dieWhileReplaying(): Promise<void> {
  await killWorkers()
  await failSome()
  await postgres.query('update platform.deliveries set parked_at = now(), next_attempt_at = null')
  const { code } = await cluster.stoaWith({ FAILPOINTS: 'delivery.before-replay=kill' }, 'replay', '--all')
  expect(code).toBe(null)
  const parked = JSON.parse((await cluster.stoa('replay', '--json')).output).parked.length
  expect(parked).toBeGreaterThan(0)
  const replays = await Promise.all([1, 2].map(() => cluster.stoa('replay', '--all', '--json')))
  expect(replays.reduce((sum, { output }) => sum + JSON.parse(output).replayed, 0)).toBe(parked)
  await startWorkers()
}

async function databaseDies(): Promise<void> {
  await postgres.kill()
  await postgres.start()
}
async function databaseHangs(): Promise<void> {
  postgres.hang()
  await pause(sized(3_000, 15_000))
  postgres.resume()
}

/** The most telling ones first: the short form has those only. */
const FAULTS: readonly (() => Promise<void>)[] = [
  () => dieAt('event.published=kill'),
  () => hangAt('delivery.leased'),
  databaseDies,
  () => dieAt('event.claimed=kill'),
  () => dieAt('event.appended=kill'),
  () => dieAt('consumer.before-ack=kill'),
  () => dieAt('delivery.leased=kill', failSome),
  () => dieAt('delivery.before-forget=kill', failSome),
  dieBeforeParking,
  dieWhileReplaying,
  () => hangAt('delivery.before-forget'),
  databaseHangs,
  ...Array.from({ length: 9 }, () => databaseDies),
]
const SHORT = 3

/** In an order of the seed, those that are tried. */
function faults() {
  return shuffled(FAULTS.slice(0, sized(SHORT, FAULTS.length)), seeded(SEED))
}

async function comeToEnd(): Promise<void> {
  await advance(AFTER_EVERY_LEASE_MINUTES)
  await comeToRest(postgres.query, 60_000, async () => (await jobsLeft(postgres.query)) + (await failed()))
}

/** Refunds that are not told of once: the one reaction here that would tell of them twice if it ran twice. */
const refundsToldWrong = async (): Promise<string[]> =>
  (
    await postgres.query(`
      select r.id, count(t.id)::int as times from payments.refunds r
        left join orders.timeline t on t.kind = 'refunded' and t.facts ->> 'refundId' = r.id
      where r.status = 'succeeded' group by r.id having count(t.id) <> 1`)
  ).map(({ id, times }) => `refund ${id} was told of ${times} times`)

test('P9: workers die between each step of an event, or hang past their lease, and PostgreSQL dies: each event acts once', async () => {
  const history = openHistory()
  await workers[1].end('SIGTERM')
  await workers[1].start({ CLOCK_FILE: lateClock })
  let stop = false
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    for (let n = client; !stop; n += 1) await purchase(history, n)
  })
  const chosen = faults()
  for (const fault of chosen) await fault()
  stop = true
  await Promise.all(clients)
  await comeToEnd()
  // Who died between sending and noting it sends again what receivers know for a copy by its Message-ID.
  const sent = mailsOnce(smtp, workers.length * chosen.length)
  verdict({
    promise: 'P9',
    tried: `events while workers and PostgreSQL died or hung ${chosen.length} times, clocks apart`,
    n: await count('from platform.events'),
    violations: [
      ...neverTold(history.read()),
      ...violationsIn({
        history: history.read(),
        books: await readBooks(postgres.query),
        provider: await readSandbox(cluster),
        effects: sent.mails,
        due: await mailsDue(postgres.query),
      }),
      ...sent.violations,
      ...(await refundsToldWrong()),
      ...(await audited(cluster)),
    ],
    seed: SEED,
  })
  history.remove()
}, 600_000)
