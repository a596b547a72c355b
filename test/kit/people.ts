import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { seeded } from '#src/sandbox/seeded.ts'
import { approve, CARDS, dispute } from './banks.ts'
import { fillCart, type Line, placeOrder, type Reply, send } from './buyer.ts'
import type { Asked, History } from './history.ts'
import type { ShopToBreak } from './shop-to-break.ts'
import { payByStripe } from './stripe-cluster.ts'

type Order = Reply['body']

/** A run of people on a shop: what they share. */
export type Run = {
  readonly shop: ShopToBreak
  readonly seed: number
  readonly history: History
  readonly variants: readonly string[]
  readonly orders: Order[]
  /** Answers that nobody should ever get. */
  readonly surprises: string[]
  readonly isOver: () => boolean
}

/** A person: what they choose follows from the seed and their number, whatever the others do. */
type Person = {
  readonly run: Run
  readonly random: () => number
  readonly oneOf: <One>(all: readonly One[]) => One
  /** How staff prove who they are; they log in again when that is not good any more. */
  owner?: { authorization: string } | undefined
}

/** Before what they do next. */
const THINKS_MS = 200

/** What the personal data of all people has in common, so that it can be looked for. */
export const CANARY = 'Quixotefield'
const ADDRESS = {
  name: `Ann ${CANARY}`,
  line1: `1 ${CANARY} St`,
  city: 'London',
  postalCode: 'N1 1AA',
  countryCode: 'GB',
}

const personOf = (run: Run, number: number): Person => {
  const random = seeded(run.seed * 1_000 + number)
  return { run, random, oneOf: (all) => all[Math.floor(random() * all.length)] as never }
}

const urlOf = ({ run, oneOf }: Person): string => oneOf(run.shop.cluster.services).url

/** Notes an answer that nobody should get: of the 5xx there is only 503. */
function notice(person: Person, reply: Reply): Reply {
  const { status, body } = reply
  if (status >= 500 && status !== 503) person.run.surprises.push(`answered ${status} ${JSON.stringify(body)}`)
  if (status === 401) person.owner = undefined
  return reply
}

/** Asks until it is known what came of it, and writes that down. */
const insist = (
  person: Person,
  asked: Asked,
  request: (url: string, key: string) => Promise<Reply>,
): Promise<Reply> => {
  const key = randomUUID()
  return person.run.history.insist(asked, key, async () => notice(person, await request(urlOf(person), key)))
}

const proof = (order: Order) => ({ 'x-order-token': order.token, 'idempotency-key': randomUUID() })

/** Fills a cart, changes their mind about it, orders, pays by one card after the other until it works; gives up, or cancels. */
async function buy(person: Person): Promise<void> {
  const { run, random, oneOf } = person
  await pause(THINKS_MS)
  const lines: Line[] = [{ variantId: oneOf(run.variants), quantity: 1 + Math.floor(random() * 2) }]
  const cart = await fillCart(urlOf(person), lines, {
    email: `ann.${CANARY.toLowerCase()}@example.com`,
    shippingAddress: ADDRESS,
  })
  if (!('token' in cart)) return void notice(person, cart)
  const asked = { what: 'order', cartId: cart.id, lines } as const
  const { status, body: order } = await insist(person, asked, (url, key) => placeOrder(url, cart, key))
  if (status !== 201) return
  run.orders.push(order)
  const payment = { what: 'payment', paymentId: order.payment.id } as const
  for (let tries = 0; tries < 4; tries += 1) {
    const token = oneOf(CARDS)
    const { body } = await insist(person, payment, (url, key) => payByStripe(url, order, token, key))
    if (body?.status === 'requiresAction') await approve(run.shop.cluster, order.payment.id, random)
    if (body?.status !== 'declined') break
  }
  if (random() < 0.15)
    notice(person, await send(urlOf(person), 'POST', `/v1/orders/${order.id}/cancellation`, {}, proof(order)))
}

/** Staff: captures, refunds by amount and by lines, shipments, cancellations, and counts. */
async function serve(person: Person): Promise<void> {
  const { run, random, oneOf } = person
  await pause(THINKS_MS)
  const order = oneOf(run.orders)
  person.owner ??= await run.shop.cluster.asOwner().catch(() => undefined)
  const { owner } = person
  if (!order || !owner) return
  const post = (path: string, body: object) => (url: string, key: string) =>
    send(url, 'POST', path, body, { ...owner, 'idempotency-key': key })
  const once = async (path: string, body: object) =>
    void notice(person, await post(path, body)(urlOf(person), randomUUID()))
  const paymentId: string = order.payment.id
  const amountMinor = 1 + Math.floor(random() * 700)
  const amount = { amountMinor, currency: 'USD' }
  const all = order.total.amountMinor
  const duties: readonly (() => Promise<unknown>)[] = [
    () =>
      insist(
        person,
        { what: 'capture', paymentId, amountMinor: all },
        post(`/v1/payments/${paymentId}/capture`, { amount: order.total }),
      ),
    () =>
      insist(
        person,
        { what: 'refund', paymentId, amountMinor },
        post(`/v1/payments/${paymentId}/refunds`, { amount, reason: 'Scratched' }),
      ),
    () =>
      once(`/v1/payments/${paymentId}/refunds`, {
        lines: [{ itemId: order.items[0].id, quantity: 1, restock: random() < 0.5 }],
        reason: 'Broken',
      }),
    () => once(`/v1/orders/${order.id}/shipments`, {}),
    () => once(`/v1/orders/${order.id}/cancellation`, { reason: 'Out of order' }),
    () =>
      once('/v1/inventory/adjustments', { variantId: oneOf(run.variants), change: oneOf([3, -1]), reason: 'Counted' }),
  ]
  await oneOf(duties)()
}

/** Buyers, staff and banks at once, until the run is over. */
export async function live(run: Run, buyers: number): Promise<void> {
  const during = async (number: number, step: (person: Person) => Promise<void>) => {
    for (const person = personOf(run, number); !run.isOver(); ) await step(person)
  }
  await Promise.all([
    ...Array.from({ length: buyers }, (_, number) => during(number, buy)),
    ...[100, 101].map((number) => during(number, serve)),
    during(200, async ({ random }) => void (await dispute(run.shop.cluster, random))),
  ])
}
