import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, test, vi } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { fillCart, type Line, placeOrder, type Reply, send } from '../kit/buyer.ts'
import { FULL, SEED, sized } from '../kit/chaos.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { verdict } from '../kit/verdict.ts'

vi.setConfig({ testTimeout: 300_000 })

/** P2: N buyers of the last k units buy exactly k, over two service processes, whatever else happens to the stock meanwhile. */
let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
let owner: Record<string, string>
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2 })
  owner = await cluster.asOwner()
}, 60_000)
afterAll(async () => {
  await cluster?.stop()
  await database?.drop()
})

type Cart = { id: string; token: string }
const url = (i: number) => cluster.services[i % 2]!.url
const ROUNDS = sized(2, 20)
const CARTS_AT_ONCE = 25
const MOST_TRIES = 5

/** A product with so many units of its one variant. */
async function stocked(onHand: number, variant: object = {}): Promise<string> {
  const prices = [{ currency: 'USD', amountMinor: 1_000 }]
  const product = {
    title: 'Last units',
    handle: `last-${randomUUID()}`,
    status: 'active',
    variants: [{ prices, onHand, ...variant }],
  }
  const { status, body } = await send(url(0), 'POST', '/v1/products', product, owner)
  if (status !== 201) throw new Error(`No product: ${status} ${JSON.stringify(body)}`)
  return body.variants[0].id
}

/** Carts with these lines, one for each buyer. */
async function carts(count: number, lines: (i: number) => readonly Line[]): Promise<Cart[]> {
  const filled: Cart[] = []
  const clerk = async (first: number) => {
    for (let i = first; i < count; i += CARTS_AT_ONCE) {
      const cart = await fillCart(url(i), lines(i))
      if (!('token' in cart)) throw new Error(`No cart: ${cart.status} ${JSON.stringify(cart.body)}`)
      filled[i] = cart
    }
  }
  await Promise.all(Array.from({ length: CARTS_AT_ONCE }, (_, first) => clerk(first)))
  return filled
}

/** Orders as a shop front does: who is turned away for the moment comes again with the key, and is counted. */
let turnedAway = 0
async function order(at: string, cart: Cart): Promise<Reply> {
  const key = randomUUID()
  for (let tries = 1; ; tries += 1) {
    const reply = await placeOrder(at, cart, key)
    if (reply.status !== 503 || tries === MOST_TRIES) return reply
    turnedAway += 1
    await pause(1_000 * Number(reply.retryAfter))
  }
}

const placed = (replies: readonly Reply[]) => replies.filter(({ status }) => status === 201)

/** Whoever did not get an order was told that it is out of stock, and how much there was. */
const oddAnswers = (replies: readonly Reply[]): string[] =>
  replies.flatMap(({ status, body }) =>
    status === 201 || (status === 409 && body.code === 'catalog.out-of-stock' && body.errors[0].available >= 0)
      ? []
      : [`answered ${status} ${JSON.stringify(body)}`],
  )

const stockOf = async (variantId: string) =>
  (await send(url(0), 'GET', `/v1/inventory?variantId=${variantId}`, undefined, owner)).body.data[0]

/** One for each unit too many, or too few. */
const wrongNumber = (when: string, sold: number, units: number): string[] =>
  Array.from({ length: Math.abs(sold - units) }, () => `${when}: sold ${sold} of ${units}`)

/** What is held is what was sold, and no more than there is. */
async function wrongStock(variantId: string, sold: number, available: number): Promise<string[]> {
  const { held, available: left, shortage } = await stockOf(variantId)
  const wrong = { held, left, shortage }
  return held === sold && left === available && shortage === 0
    ? []
    : [`sold ${sold}, ${available} should be left: ${JSON.stringify(wrong)}`]
}

const adjust = (variantId: string, change: number, at = url(1)) =>
  send(at, 'POST', '/v1/inventory/adjustments', { variantId, change, reason: 'Counted' }, owner)

const sizes = [1, 7, 50].flatMap((units) => (FULL ? [50, 200, 500] : [50, 200]).map((buyers) => ({ units, buyers })))
test.each(sizes)('$buyers buyers of the last $units, round after round', async ({ units, buyers }) => {
  const variantId = await stocked(units)
  const violations: string[] = []
  const all = await carts(buyers + units * (ROUNDS - 1), () => [{ variantId, quantity: 1 }])
  const before = turnedAway
  let waiting = all.splice(0, buyers)
  for (let round = 1; ; round += 1) {
    const replies = await Promise.all(waiting.map((cart, i) => order(url(i + round), cart)))
    const sold = placed(replies).length
    violations.push(
      ...wrongNumber(`round ${round}`, sold, units),
      ...oddAnswers(replies),
      ...(await wrongStock(variantId, units * round, 0)),
    )
    if (round === ROUNDS) break
    // As many units come in as went out, and as many new buyers.
    const { status, body } = await adjust(variantId, units)
    if (status !== 201) violations.push(`putting in ${units} answered ${status} ${JSON.stringify(body)}`)
    waiting = [...waiting.filter((_, i) => replies[i]?.status !== 201), ...all.splice(0, units)]
  }
  const again = turnedAway > before ? `, ${turnedAway - before} turned away first` : ''
  verdict({ promise: 'P2', tried: `orders of ${buyers} at once for ${units}${again}`, n: buyers * ROUNDS, violations })
})

test('the same SKU on two lines of a cart', async () => {
  const [units, buyers] = [21, 60]
  const variantId = await stocked(units)
  const waiting = await carts(buyers, () => [
    { variantId, quantity: 1 },
    { variantId, quantity: 1 },
  ])
  const replies = await Promise.all(waiting.map((cart, i) => order(url(i), cart)))
  const sold = placed(replies).length
  const violations = [
    ...wrongNumber('by twos', sold * 2, 20),
    ...oddAnswers(replies),
    ...(await wrongStock(variantId, 20, 1)),
  ]
  verdict({ promise: 'P2', tried: 'orders with one SKU on two lines', n: buyers, violations })
})

test('beside what is not counted, and what may be back-ordered', async () => {
  const [units, buyers] = [7, 60]
  const [last, free, later] = [
    await stocked(units),
    await stocked(1, { tracked: false }),
    await stocked(1, { backOrder: true }),
  ]
  const waiting = await carts(buyers, () => [last, free, later].map((variantId) => ({ variantId, quantity: 1 })))
  const replies = await Promise.all(waiting.map((cart, i) => order(url(i), cart)))
  const sold = placed(replies).length
  const violations = [
    ...wrongNumber('at once', sold, units),
    ...oddAnswers(replies),
    ...(await wrongStock(last, units, 0)),
  ]
  verdict({ promise: 'P2', tried: 'orders of a last unit with two that are never sold out', n: buyers, violations })
})

test('two SKUs in opposite order, while staff count, goods come in by a file, and buyers change their mind', async () => {
  const random = seeded(SEED)
  const violations: string[] = []
  const buyers = 100
  const rounds = sized(2, 6)
  for (let round = 1; round <= rounds; round += 1) {
    const [a, b] = [await stocked(20), await stocked(20)]
    const lines = (i: number) => (i % 2 ? [a, b] : [b, a]).map((variantId) => ({ variantId, quantity: 1 }))
    const [waiting, comingLate] = [await carts(buyers, lines), await carts(40, lines)]
    let changed = 0
    const counting = async (at: string, changes: readonly number[]) => {
      for (const change of changes) {
        await new Promise((resolve) => setTimeout(resolve, random() * 10))
        const { status, body } = await adjust(b, change, at)
        if (status === 201) changed += change
        else if (body?.code !== 'catalog.stock-is-sold') violations.push(`adjusting answered ${status}`)
      }
    }
    let freed = 0
    const buying = async (cart: Cart, i: number) => {
      const reply = await order(url(i), cart)
      if (reply.status !== 201 || random() > 0.2) return { reply, isKept: true }
      const proof = { 'x-order-token': reply.body.token }
      const cancelled = await send(url(i + 1), 'POST', `/v1/orders/${reply.body.id}/cancellation`, {}, proof)
      if (cancelled.status >= 300) violations.push(`cancelling answered ${cancelled.status}`)
      freed += 1
      return { reply, isKept: false }
    }
    const [bought] = await Promise.all([
      Promise.all(waiting.map(buying)),
      counting(url(0), [5, -3, 4, -2, -8]),
      counting(url(1), [1, 2, -1, 3, -2]),
      cluster.stock({ [`other-${SEED}-${round}`]: 3 }),
    ])
    const replies = bought.map(({ reply }) => reply)
    const kept = bought.filter(({ reply, isKept }) => reply.status === 201 && isKept).length
    violations.push(...oddAnswers(replies))
    violations.push(...(await wrongStock(a, kept, 20 - kept)), ...(await wrongStock(b, kept, 20 + changed - kept)))
    if (placed(replies).length > 20 + freed) violations.push(`sold ${placed(replies).length}, ${freed} came back`)
    // Whoever comes now gets what is left, to the last unit.
    const left = Math.min(20 - kept, 20 + changed - kept)
    const late = placed(await Promise.all(comingLate.map((cart, i) => order(url(i), cart))))
    violations.push(...wrongNumber('late', late.length, left))
  }
  verdict({
    promise: 'P2',
    tried: 'orders of two SKUs in opposite order, counted and cancelled meanwhile',
    n: buyers * rounds,
    violations,
    seed: SEED,
  })
})

test('after all of this the books are right', async () => {
  const { code, output } = await cluster.stoa('audit', '--all', '--json')
  const findings = JSON.parse(output) as unknown[]
  verdict({
    promise: 'P2',
    tried: 'invariants of the books afterwards',
    n: findings.length,
    violations: code === 0 ? [] : [output],
  })
})
