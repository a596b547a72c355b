import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import createClient from 'openapi-fetch'
import type { paths } from './api.ts'

// A shop front's purchase with nothing but the API's own description: every path, body and answer below is checked by tsc.
const shop = createClient<paths>({ baseUrl: process.argv[2] ?? '' })
const key = () => ({ 'Idempotency-Key': randomUUID() })

/** The data of an answer; ends the program with the problem document of a refusal. */
function expectData<Data>(answer: { data?: Data; error?: unknown; response: Response }): Data {
  if (answer.data === undefined) throw new Error(`${answer.response.status} ${JSON.stringify(answer.error)}`)
  return answer.data
}

const products = expectData(await shop.GET('/v1/products', { params: { query: { limit: 5 } } }))
const variant = products.data.flatMap((product) => product.variants).find((each) => each.price && each.available !== 0)
if (!variant) throw new Error('Nothing to buy.')

const cart = expectData(
  await shop.POST('/v1/carts', {
    body: {
      currency: 'USD',
      items: [{ variantId: variant.id, quantity: 2 }],
      email: 'ann@example.com',
      shippingAddress: { name: 'Ann Lee', line1: '1 Main St', city: 'London', postalCode: 'N1 1AA', countryCode: 'GB' },
      shippingMethod: 'standard',
    },
  }),
)
const order = expectData(
  await shop.POST('/v1/orders', {
    params: { header: key() },
    headers: { 'X-Cart-Token': cart.token },
    body: { cartId: cart.id, expectedTotal: cart.total },
  }),
)
const asBuyer = { 'X-Order-Token': order.token }
if (!order.payment) throw new Error('Nothing to pay.')
expectData(
  await shop.POST('/v1/payments/{id}/attempts', {
    params: { path: { id: order.payment.id }, header: key() },
    headers: asBuyer,
    body: { method: 'sandbox', token: 'tok_ok' },
  }),
)

let status: typeof order.status = order.status
for (let waited = 0; status === 'pending' && waited < 10_000; waited += 100) {
  await pause(100)
  const seen = await shop.GET('/v1/orders/{id}', { params: { path: { id: order.id } }, headers: asBuyer })
  status = expectData(seen).status
}
console.log(JSON.stringify({ number: order.number, total: order.total, status }))

/** What the description forbids must not compile. */
export async function mistakes(): Promise<void> {
  // @ts-expect-error no such path
  await shop.GET('/v1/no-such-thing')
  // @ts-expect-error an order is placed under an Idempotency-Key
  await shop.POST('/v1/orders', { body: { cartId: cart.id } })
  // @ts-expect-error a quantity is a number
  await shop.POST('/v1/carts', { body: { items: [{ variantId: variant?.id ?? '', quantity: 'two' }] } })
  // @ts-expect-error money has no amount but amountMinor
  console.log(order.total.amount)
}
