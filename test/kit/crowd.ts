/**
 * A crowd of shoppers, as a process of its own: `node test/kit/crowd.ts URL VARIANT buyers 24 5` has 24 of them buy without
 * pause for 5 s, with `… arrivals 600 60` 600 come in each second for 60 s, however many are there. Prints a Tally as JSON.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type Client, openClient, type Reply } from '../../bench/client.ts'
import { DETAILS, key } from '../../bench/journeys.ts'
import { quantile } from '../../bench/numbers.ts'

/** What became of a crowd. An answer is good that came while its shopper still waited for it. */
export type Tally = {
  readonly arrived: number
  /** Who got a cart, and who of them bought what is in it. */
  readonly begun: number
  readonly bought: number
  /** Answers of platform.overloaded, and answers that nobody waited for any more. */
  readonly turnedAway: number
  readonly late: number
  /** Any other answer but the one that was asked for, in words. */
  readonly surprises: readonly string[]
  /** Of the good answers. */
  readonly p99Ms: number
  /** From the last arrival until nobody was there any more. */
  readonly lingeredMs: number
}

type Ask = (path: string, body: object, headers?: Record<string, string>) => Promise<any>

const PATIENCE_MS = 2_000
const TICK_MS = 5

const [url = '', variantId = '', how = '', count = '', length = ''] = process.argv.slice(2)
const [many, seconds] = [Number(count), Number(length)]
const goodMs: number[] = []
const surprises: string[] = []
const tally = { arrived: 0, begun: 0, bought: 0, turnedAway: 0, late: 0 }
/** Connections that nobody uses at the moment. */
const resting: Client[] = []

/** Comes in and buys; leaves as soon as they are turned away, or have waited too long for an answer. */
async function shop(): Promise<void> {
  tally.arrived += 1
  const coming = Promise.resolve(resting.pop() ?? openClient(url))
  let isCutOff = false
  const ask: Ask = async (path, body, headers) => {
    const began = performance.now()
    const reply = await inTime(coming.then(({ send }) => send('POST', path, body, { ...key(), ...headers })))
    if (reply?.status === 201) {
      goodMs.push(performance.now() - began)
      return reply.body
    }
    if (reply === undefined) {
      tally.late += 1
      isCutOff = true
    } else if (reply.body?.code === 'platform.overloaded') tally.turnedAway += 1
    else {
      surprises.push(`${path}: ${reply.status} ${reply.body?.code}`)
      isCutOff ||= reply.status === 0
    }
    return undefined
  }
  await buy(ask)
  const close = ({ close }: Client) => close()
  if (isCutOff) coming.then(close, () => {})
  else resting.push(await coming)
}

/** Fills a cart, orders it, and pays. */
async function buy(ask: Ask): Promise<void> {
  const cart = await ask('/v1/carts', { currency: 'USD', items: [{ variantId, quantity: 1 }], ...DETAILS })
  if (!cart) return
  tally.begun += 1
  const order = await ask('/v1/orders', { cartId: cart.id }, { 'x-cart-token': cart.token })
  if (!order) return
  const paying = { method: 'sandbox', token: 'tok_ok' }
  const attempt = await ask(`/v1/payments/${order.payment.id}/attempts`, paying, { 'x-order-token': order.token })
  if (attempt?.status === 'succeeded') tally.bought += 1
  else if (attempt) surprises.push(`the payment ${attempt.status}`)
}

/** What was answered while its shopper still waited for it, a connection that broke too; undefined when nothing was. */
async function inTime(answering: Promise<Reply>): Promise<Reply | undefined> {
  let over: NodeJS.Timeout | undefined
  const gone = new Promise<undefined>((leave) => {
    over = setTimeout(() => leave(undefined), PATIENCE_MS)
  })
  const broken = (error: NodeJS.ErrnoException): Reply => ({ status: 0, body: { code: error.code ?? error.message } })
  return Promise.race([answering.catch(broken), gone]).finally(() => clearTimeout(over))
}

const began = performance.now()
const elapsed = () => (performance.now() - began) / 1_000
const everybody: Promise<void>[] = []
if (how === 'buyers') {
  const again = async () => {
    while (elapsed() < seconds) await shop()
  }
  everybody.push(...Array.from({ length: many }, again))
} else
  for (; elapsed() < seconds; await pause(TICK_MS))
    for (const due = elapsed() * many; everybody.length < due; ) everybody.push(shop())
const lastCame = performance.now()
await Promise.all(everybody)
const lingeredMs = Math.round(performance.now() - lastCame)
goodMs.sort((a, b) => a - b)
console.log(JSON.stringify({ ...tally, surprises, p99Ms: quantile(goodMs, 0.99), lingeredMs } satisfies Tally))
process.exit(0)
