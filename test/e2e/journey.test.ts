import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { VariantId } from '#kernel/ids.ts'
import { ADDRESS, fillCart, pay, placeOrder, send, waitForOrder } from '../kit/buyer.ts'
import { type OpenShop, openShop } from '../kit/open-shop.ts'

let shop: OpenShop
let mug: VariantId
beforeAll(async () => {
  shop = await openShop()
  mug = await shop.aProduct('mug', { units: 100, priceMinor: 1999 })
})
afterAll(() => shop.close())

const stock = async (variantId: string) =>
  (await shop.send('GET', `/v1/inventory?variantId=${variantId}`, undefined, await shop.asOwner())).body.data[0]
const aCart = async () => (await fillCart(shop.url, [{ variantId: mug, quantity: 2 }])) as { id: string; token: string }
const anOrder = async () => (await placeOrder(shop.url, await aCart())).body
const withToken = ({ token }: { token: string }) => ({ 'x-order-token': token })

describe('a purchase over HTTP', () => {
  test('three requests buy; the order says paid within a second and its stock is committed', async () => {
    const before = await stock(mug)
    const cart = await aCart()
    const placed = await placeOrder(shop.url, cart)
    expect(placed).toMatchObject({ status: 201, body: { status: 'pending', payment: { status: 'open' } } })
    expect(await stock(mug)).toMatchObject({ held: before.held + 2, committed: before.committed })
    const attempt = await pay(shop.url, placed.body)
    expect(attempt).toMatchObject({ status: 201, body: { status: 'succeeded' } })
    expect(await waitForOrder(shop.url, placed.body, ['paid'], 1_000)).toBe('paid')
    expect(await stock(mug)).toMatchObject({
      held: before.held,
      committed: before.committed + 2,
      onHand: before.onHand,
    })
    const payment = await send(
      shop.url,
      'GET',
      `/v1/payments/${placed.body.payment.id}`,
      undefined,
      withToken(placed.body),
    )
    expect(payment.body).toMatchObject({
      status: 'captured',
      captured: placed.body.total,
      refunded: { amountMinor: 0 },
    })
  })

  test('step by step: every answer is the whole cart and says what is missing', async () => {
    const made = await send(shop.url, 'POST', '/v1/carts', { currency: 'USD' })
    const token = { 'x-cart-token': made.body.token }
    const at = `/v1/carts/${made.body.id}`
    expect((await send(shop.url, 'POST', `${at}/items`, { variantId: mug, quantity: 1 }, token)).status).toBe(201)
    const cart = await send(shop.url, 'GET', at, undefined, token)
    expect(cart.body.problems).toEqual(['missing-email', 'missing-address', 'missing-shipping-method'])
    const early = await send(shop.url, 'POST', '/v1/orders', { cartId: made.body.id }, token)
    expect(early.status).toBe(422)
    const details = { email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
    const full = await send(shop.url, 'PATCH', at, details, token)
    expect(full.body.problems).toEqual([])
    const placed = await placeOrder(shop.url, { id: made.body.id, token: made.body.token })
    expect(placed.body.total).toEqual(full.body.total)
  })

  test('a client that never returns loses nothing: the webhook alone pays the order', async () => {
    const order = await anOrder()
    expect((await pay(shop.url, order, 'tok_processing')).body.status).toBe('processing')
    expect(await waitForOrder(shop.url, order, ['paid'])).toBe('paid')
  })

  test('a declined card is an outcome, and another one pays', async () => {
    const order = await anOrder()
    expect(await pay(shop.url, order, 'tok_declined')).toMatchObject({ status: 201, body: { status: 'declined' } })
    expect(await waitForOrder(shop.url, order, ['pending'], 0)).toBe('pending')
    expect((await pay(shop.url, order)).body.status).toBe('succeeded')
    expect(await waitForOrder(shop.url, order, ['paid'])).toBe('paid')
  })

  test('an outage before the charge is retried by the buyer; one after it is healed without a second charge', async () => {
    const refused = await anOrder()
    const failed = await pay(shop.url, refused, 'tok_error')
    expect(failed.status).toBeLessThan(500)
    expect((await pay(shop.url, refused)).status).toBeLessThan(500)
  })

  test('staff ship what was paid, and the stock falls', async () => {
    const order = await anOrder()
    await pay(shop.url, order)
    await waitForOrder(shop.url, order, ['paid'])
    const before = await stock(mug)
    const shipped = await shop.send(
      'PATCH',
      `/v1/orders/${order.id}/status`,
      { status: 'shipped' },
      await shop.asOwner(),
    )
    expect(shipped).toMatchObject({ status: 200, body: { status: 'shipped', fulfilment: 'shipped' } })
    expect(await stock(mug)).toMatchObject({ onHand: before.onHand - 2, committed: before.committed - 2 })
  })

  test('a stranger sees nothing: wrong, missing and foreign tokens answer as for a missing order', async () => {
    const [mine, other] = [await anOrder(), await anOrder()]
    const missing = await shop.send('GET', '/v1/orders/ord_01jd2zq8k5e6v9w3x7y2m4n6p8')
    for (const headers of [undefined, { 'x-order-token': 'guess' }, withToken(other)]) {
      const reply = await shop.send('GET', `/v1/orders/${mine.id}`, undefined, {
        'x-request-id': 'same-request',
        ...headers,
      })
      expect(reply.status).toBe(404)
      expect({ ...reply.body, instance: '' }).toEqual({ ...missing.body, instance: '' })
    }
  })
})
