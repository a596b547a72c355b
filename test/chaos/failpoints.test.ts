import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { comeToRest, jobsLeft } from '../kit/at-rest.ts'
import { fillCart, pay, placeOrder, send, variantOf } from '../kit/buyer.ts'
import { SEED, shuffled, sized } from '../kit/chaos.ts'
import { neverTold, violationsIn } from '../kit/checker.ts'
import { namedPlaces, timesPassed } from '../kit/failpoints.ts'
import { type History, openHistory } from '../kit/history.ts'
import { startPostgres, type TestPostgres } from '../kit/postgres.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { openSmtp, type Smtp } from '../kit/smtp.ts'
import { verdict } from '../kit/verdict.ts'
import { audited, mailingTo, mailsDue, mailsOnce, readBooks, readSandbox } from '../kit/witnesses.ts'

/** Every place that a purchase, its money and its mails pass: the process dies there, or PostgreSQL does while it stands there. */
const PLACES = [
  'stock.held',
  'order.inserted',
  'command.before-commit',
  'command.committed',
  'payment.before-call',
  'payment.after-call',
  'payment.recorded',
  'capture.before-call',
  'capture.after-call',
  'refund.before-call',
  'refund.after-call',
  'event.published',
  'order.mailed',
]
/** Places that other tests kill at. */
const ELSEWHERE = {
  'order.expired': 'holds',
  'keys.batch-read': 'key-rotation',
  'keys.batch-written': 'key-rotation',
  'event.appended': 'events',
  'event.claimed': 'events',
  'consumer.before-ack': 'events',
  'delivery.leased': 'events',
  'delivery.before-forget': 'events',
  'delivery.before-park': 'events',
  'delivery.before-replay': 'events',
}
const CLIENTS = 8
const SHORT = 4
const COMES_BY_MS = 20_000
const STANDING_MS = 1_000
const MAIL_LEASE_MINUTES = 4

let postgres: TestPostgres
let cluster: Cluster
let smtp: Smtp
let variantId: string
const passed = join(mkdtempSync(join(tmpdir(), 'stoa-passed-')), 'passed')
beforeAll(async () => {
  ;[postgres, smtp] = await Promise.all([startPostgres(), openSmtp({ user: 'shop', pass: 'secret' })])
  const env = { PAYMENT_TIMEOUT_MS: '2000', PAYMENT_CAPTURE: 'manual', DRAIN_MS: '0', ...mailingTo(smtp) }
  cluster = await startCluster(postgres, { services: 1, env: { ...env, FAILPOINTS_PASSED: passed } })
  await cluster.stock({ mug: 100_000 })
  variantId = await variantOf(cluster.services[0].url, 'mug')
}, 90_000)
afterAll(async () => {
  await cluster?.stop()
  await Promise.all([postgres?.stop(), smtp?.close()])
  rmSync(passed, { force: true })
})

/** One purchase, captured and given back in part; each step is repeated with its key as long as nobody knows. */
async function purchase(history: History, owner: { authorization: string }): Promise<void> {
  const { url } = cluster.services[0]
  const lines = [{ variantId, quantity: 1 }]
  const cart = await fillCart(url, lines)
  if (!('token' in cart)) return pause(200)
  const key = randomUUID()
  const { body: order } = await history.insist({ what: 'order', cartId: cart.id, lines }, key, () =>
    placeOrder(url, cart, key),
  )
  if (!order?.payment) return
  const paymentId: string = order.payment.id
  for (let paid = false, tries = 0; !paid && tries < 5; tries += 1) {
    const key = randomUUID()
    const reply = await history.insist({ what: 'payment', paymentId }, key, () => pay(url, order, 'tok_ok', key))
    // Killed before the call, the provider has never heard of it: the attempt's own answer says so, and another one pays.
    paid = reply.body?.status === 'succeeded'
  }
  for (const [what, path, amountMinor] of [
    ['capture', 'capture', 900],
    ['refund', 'refunds', 300],
  ] as const) {
    const body = { amount: { amountMinor, currency: 'USD' }, ...(what === 'refund' ? { reason: 'Scratched' } : {}) }
    const key = randomUUID()
    await history.insist({ what, paymentId, amountMinor }, key, () =>
      send(url, 'POST', `/v1/payments/${paymentId}/${path}`, body, { ...owner, 'idempotency-key': key }),
    )
  }
}

/** A place, and who dies while the process stands there: itself, or its database. */
type Break = { readonly place: string; readonly victim: 'process' | 'PostgreSQL' }

const EVERY: readonly Break[] = (['process', 'PostgreSQL'] as const).flatMap((victim) =>
  PLACES.map((place) => ({ place, victim })),
)

/** In an order of the seed; the short form has some of them. */
function breaks(): Break[] {
  return shuffled(EVERY, seeded(SEED)).slice(0, sized(SHORT, EVERY.length))
}

/** Starts the process anew, lets it come to this place, and breaks it or its database there; resolves with whether it came. */
async function breakAt({ place, victim }: Break): Promise<boolean> {
  const [service] = cluster.services
  const [wanted, spec] = victim === 'process' ? [`${place} kill`, 'kill'] : [`${place} delay`, `delay:${STANDING_MS}`]
  const times = () => timesPassed(passed, wanted)
  const before = times()
  await service.end('SIGTERM')
  // It may die there before it is ready.
  await service.start({ FAILPOINTS: `${place}=${spec}` }).catch(() => {})
  for (const until = Date.now() + COMES_BY_MS; times() === before; await pause(10)) if (Date.now() > until) return false
  if (victim === 'process') await service.end('SIGKILL')
  else {
    await postgres.kill()
    await postgres.start()
  }
  return true
}

test('P1: the process or PostgreSQL dies at each place of a purchase, and nothing is lost or half done', async () => {
  const history = openHistory()
  const [service] = cluster.services
  const owner = await cluster.asOwner()
  const missed: string[] = []
  let stop = false
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!stop) await purchase(history, owner)
  })
  const chosen = breaks()
  for (const one of chosen)
    if (!(await breakAt(one))) missed.push(`nobody came by ${one.place} for ${one.victim} to die`)
  await service.end('SIGTERM')
  await service.start()
  stop = true
  await Promise.all(clients)
  // A mail that was being sent waits for its lease, one that failed for its next try.
  await cluster.advance(MAIL_LEASE_MINUTES)
  await comeToRest(postgres.query, 60_000, () => jobsLeft(postgres.query))
  // Who died between sending and noting it sends again what receivers know for a copy by its Message-ID.
  const sent = mailsOnce(smtp, chosen.length)
  const seen = history.read()
  verdict({
    promise: 'P1',
    tried: `orders while process or PostgreSQL died at ${chosen.length} places`,
    n: seen.filter(({ asked, told }) => asked.what === 'order' && told === 'acknowledged').length,
    violations: [
      ...missed,
      ...sent.violations,
      ...neverTold(seen),
      ...violationsIn({
        history: seen,
        books: await readBooks(postgres.query),
        provider: await readSandbox(cluster),
        effects: sent.mails,
        due: await mailsDue(postgres.query),
      }),
      ...(await audited(cluster)),
    ],
    seed: SEED,
  })
  history.remove()
}, 240_000)

test('there is no other place, and each is killed at', () => {
  const places = namedPlaces()
  expect(places).toEqual([...PLACES, ...Object.keys(ELSEWHERE)].sort())
  const documented = readFileSync('docs/development.md', 'utf8')
  for (const place of places) expect(documented).toContain(`\`${place}\``)
  for (const [place, file] of Object.entries(ELSEWHERE))
    expect(readFileSync(`test/chaos/${file}.test.ts`, 'utf8')).toContain(`${place}=kill`)
})
