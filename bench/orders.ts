import { type Client, withClients } from './client.ts'
import { DETAILS, key } from './journeys.ts'
import type { Measured } from './report.ts'
import type { BenchShop } from './shop.ts'
import { insertCart, makeGoods } from './twin/carts.ts'
import { openTwinDatabase } from './twin/database.ts'
import { placeOrder } from './twin/orders.ts'

const CLIENTS = 32
const CARTS = 1_500
const ROUNDS = 2

/**
 * Orders placed per second by 32 clients over HTTP, their carts made before; and the same SQL sent by bare pg with as
 * many connections, in turn; the better of two rounds each.
 */
export async function measureOrders(
  { service, twin }: BenchShop,
  variantIds: readonly string[],
  say: (line: string) => void,
): Promise<Measured> {
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    say('orders placed: the service and bare pg, in turn')
    ours.push(await withClients(service.url, CLIENTS, (clients) => overHttp(clients, variantIds)))
    bare.push(await overPg(twin.databaseUrl, variantIds))
  }
  return {
    ...{ name: 'orders placed', value: Math.max(...ours), unit: '/s', ceiling: Math.max(...bare) },
    least: { ratio: 0.5 },
  }
}

const itemsOf = (variantIds: readonly string[], i: number) =>
  [i, i * 7 + 3].map((at) => ({ variantId: variantIds[at % variantIds.length] as string, quantity: 1 }))

async function overHttp(clients: readonly Client[], variantIds: readonly string[]): Promise<number> {
  const carts = await inParallel(clients, async ({ send }, i) => {
    const cart = await send('POST', '/v1/carts', { currency: 'USD', items: itemsOf(variantIds, i), ...DETAILS })
    return cart.body as { id: string; token: string }
  })
  return rate(() =>
    inParallel(clients, async ({ send }, i) => {
      const { id, token } = carts[i] as { id: string; token: string }
      const { status, body } = await send('POST', '/v1/orders', { cartId: id }, { 'x-cart-token': token, ...key() })
      if (status !== 201) throw new Error(`POST /v1/orders: ${status} ${JSON.stringify(body)}`)
    }),
  )
}

async function overPg(databaseUrl: string, variantIds: readonly string[]): Promise<number> {
  const database = openTwinDatabase(databaseUrl)
  const goodsOf = makeGoods()
  const workers = Array.from({ length: CLIENTS })
  const carts = await inParallel(workers, (_, i) => insertCart(database.one, itemsOf(variantIds, i), DETAILS))
  const perSecond = await rate(() => inParallel(workers, (_, i) => placeOrder(database, goodsOf, carts[i] as string)))
  await database.close()
  return perSecond
}

/** Lets the workers share the work, each doing one thing at a time. */
async function inParallel<W, T>(workers: readonly W[], work: (worker: W, i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = []
  let next = 0
  await Promise.all(
    workers.map(async (worker) => {
      for (let i = next++; i < CARTS; i = next++) results[i] = await work(worker, i)
    }),
  )
  return results
}

async function rate(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return CARTS / ((performance.now() - start) / 1000)
}
