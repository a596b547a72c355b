/**
 * The ceiling for journeys: a purchase hand-written on Fastify and pg alone, with the statements of the shop and none of
 * its layers. It knows the way of a purchase that goes well, no more: no schemas, permissions, receipts read, retries.
 */
import { createHmac } from 'node:crypto'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import { type Details, insertCart, makeGoods, price, putItem, setDetails, variantsIn } from './carts.ts'
import { openTwinDatabase } from './database.ts'
import { placeOrder, publishEvents } from './orders.ts'
import { attempt, takeWebhook, workInbox } from './payments.ts'
import { statements } from './statements.ts'

const option = { type: 'string', default: '' } as const
const { values } = parseArgs({
  options: { port: option, database: option, sandbox: option, 'api-key': option, secret: option },
})
const sandbox = { url: values.sandbox, apiKey: values['api-key'], secret: values.secret }
const database = openTwinDatabase(values.database)
const { one } = database
const goodsOf = makeGoods()
const relay = repeat(() => publishEvents(database))
const inbox = repeat(() => workInbox(database))
const app = Fastify()

const tokenOf = (id: string) => createHmac('sha256', values.secret).update(id).digest('base64url')
const cartView = async (cart: any) => ({
  ...{ id: cart.id, token: tokenOf(cart.id), status: cart.status },
  ...price(cart, await goodsOf(one, variantsIn(cart))),
})
const isTheirs = (id: string, token: unknown) => {
  if (tokenOf(id) !== token) throw new Error('not theirs')
}

app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) =>
  done(null, request.url.includes('/webhook/') ? body : JSON.parse(body.toString())),
)

app.get('/', async () => 'the twin')

app.post('/v1/carts', async (_request, reply) => {
  const id = await insertCart(one)
  return reply.code(201).send({ id, token: tokenOf(id), status: 'open', items: [] })
})

type WithId = { Params: { id: string } }
app.post<WithId & { Body: { variantId: string; quantity: number } }>('/v1/carts/:id/items', async (request, reply) => {
  isTheirs(request.params.id, request.headers['x-cart-token'])
  return reply.code(201).send(await cartView(await putItem(one, goodsOf, request.params.id, request.body)))
})

app.patch<WithId & { Body: Details }>('/v1/carts/:id', async (request) => {
  isTheirs(request.params.id, request.headers['x-cart-token'])
  return cartView(await setDetails(one, request.params.id, request.body))
})

app.post<{ Body: { cartId: string } }>('/v1/orders', async (request, reply) => {
  isTheirs(request.body.cartId, request.headers['x-cart-token'])
  const order = await placeOrder(database, goodsOf, request.body.cartId)
  relay.wake()
  return reply.code(201).send({ ...order, token: tokenOf(order.id) })
})

app.post<WithId>('/v1/payments/:id/attempts', async (request, reply) => {
  const answer = await attempt(database, sandbox, request.params.id, String(request.headers['idempotency-key']))
  relay.wake()
  return reply.code(201).send(answer)
})

app.get<WithId>('/v1/orders/:id', async (request) => {
  isTheirs(request.params.id, request.headers['x-order-token'])
  const [order] = await one(statements.readOrder, [request.params.id])
  const [payment] = await one(statements.readPayment, [[order.payment_id]])
  return { ...order, payment }
})

app.post<{ Body: Buffer }>('/v1/payments/webhook/sandbox', async (request, reply) => {
  if (!(await takeWebhook(database, sandbox, request.body, String(request.headers['sandbox-signature']))))
    return reply.code(401).send()
  inbox.wake()
  return reply.code(204).send()
})

await app.listen({ port: Number(values.port), host: '127.0.0.1' })

/** Runs it when woken, at most every 5 ms, and once a second anyway; again at once as long as there was something to do. */
function repeat(run: () => Promise<number>): { wake(): void } {
  let isWanted = false
  let isRunning = false
  const wake = () => {
    isWanted = true
    if (isRunning) return
    isRunning = true
    setTimeout(async () => {
      while (isWanted) {
        isWanted = false
        while ((await run()) > 0);
      }
      isRunning = false
    }, 5)
  }
  setInterval(wake, 1_000)
  return { wake }
}
