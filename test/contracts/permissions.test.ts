import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#platform/ids.ts'
import { type Buying, openForBuying, type Placed } from '../contexts/orders/buying.ts'
import { bearer } from '../contexts/users/people.ts'
import type { Sent } from '../kit/shop.ts'

/** Who may ask for what, written down once more: a new operation is the staff's until it is named here. */
const EVERYBODY = [
  ...['getHealth', 'getLiveness', 'getReadiness', 'getMetrics', 'readSigningKeys', 'readStore'],
  ...['verifyEmail', 'resendVerification', 'forgotPassword', 'resetPassword', 'changeEmail'],
  ...['register', 'logIn', 'refreshSession', 'logOut', 'listProducts', 'getProduct', 'listCategories'],
  ...['createCart', 'readCart', 'changeCart', 'addCartItem', 'setCartItem', 'removeCartItem', 'mergeCarts'],
  ...[
    'placeOrder',
    'readOrder',
    'cancelOrder',
    'getPayment',
    'attemptPayment',
    'receiveWebhook',
    'receiveDefaultWebhook',
  ],
]
const CUSTOMERS = [
  ...EVERYBODY,
  ...['reauthenticate', 'readSecondFactor', 'startTotp', 'confirmTotp', 'renewRecoveryCodes', 'removeTotp'],
  ...['listMySessions', 'endMySession', 'endMySessions'],
  'listOrders',
  'readMe',
  'changeMe',
  'changePassword',
  ...['listAddresses', 'addAddress', 'readAddress', 'changeAddress', 'removeAddress'],
  'askEmailChange',
  'exportMe',
  'closeMyAccount',
]
const SUPPORT = [
  ...CUSTOMERS,
  'listInventory',
  'listLocations',
  'listUsers',
  'readUser',
  'addOrderNote',
  'readOrderTimeline',
]

/** What would end the session of whoever asks. */
const ENDING = ['logOut', 'endMySessions', 'closeMyAccount']

type Method = Parameters<Buying['send']>[0]
type Operation = { readonly id: string; readonly method: Method; readonly url: string }

let buying: Buying
let operations: readonly Operation[]
let paths: ReadonlyMap<string, readonly string[]>
let customer: Record<string, string>
let support: Record<string, string>
let order: Placed

beforeAll(async () => {
  buying = await openForBuying()
  const { people, shop } = buying
  customer = bearer(await people.customer('bea@example.com'))
  support = await buying.staff('support')
  const mug = await buying.aVariant()
  order = await buying.placed(
    await buying.aCart([{ variantId: mug, quantity: 1 }], {}, bearer(await people.customer('ann@example.com'))),
  )
  const { body } = await shop.send('GET', '/openapi.json')
  const described = Object.entries(body.paths as Record<string, Record<string, { operationId: string }>>)
  operations = described.flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId }]) => ({
      id: operationId,
      method: method.toUpperCase() as Method,
      url: path.replaceAll(/\{\w+\}/g, 'nonsense'),
    })),
  )
  paths = new Map(
    described.map(([path, methods]) => [path, Object.keys(methods).map((method) => method.toUpperCase())]),
  )
})
afterAll(() => buying?.close())

/** Asks without a body that fits: whoever may not ask is told so before anything else is looked at. */
const statuses = async (headers: Record<string, string>): Promise<Map<string, number>> => {
  const asked = new Map<string, number>()
  for (const { id, method, url } of operations.filter(({ id }) => !ENDING.includes(id)))
    asked.set(id, (await buying.send(method, url, undefined, headers)).status)
  return asked
}
const refusedWith = (asked: ReadonlyMap<string, number>, ...status: number[]) =>
  [...asked].filter(([, one]) => status.includes(one)).map(([id]) => id)
const except = (known: readonly string[]) => operations.map(({ id }) => id).filter((id) => !known.includes(id))

describe('permissions', () => {
  test('guests get nothing that is not for everybody: 401', async () => {
    expect(refusedWith(await statuses({}), 401).sort()).toEqual(except([...EVERYBODY, ...ENDING]).sort())
  })

  test('customers get nothing that is the staff’s: 403', async () => {
    expect(refusedWith(await statuses(customer), 401, 403).sort()).toEqual(except(CUSTOMERS).sort())
  })

  test('support gets what it is for, and no more: 403', async () => {
    expect(refusedWith(await statuses(support), 401, 403).sort()).toEqual(except(SUPPORT).sort())
  })

  test('the owner gets everything', async () => {
    expect(refusedWith(await statuses(await buying.asOwner()), 401, 403)).toEqual([])
  })

  test('a method that is asked for in a header is not looked at', async () => {
    const { id } = order
    for (const name of ['x-http-method-override', 'x-http-method', 'x-method-override'])
      expect(
        await buying.send('GET', `/v1/orders/${id}/shipments`, undefined, { ...support, [name]: 'POST' }),
      ).toMatchObject({ status: 405 })
  })

  test('a method that is not listed is 405 with those that are', async () => {
    const every = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
    for (const [path, methods] of paths)
      for (const method of every.filter((one) => !methods.includes(one))) {
        const url = path.replaceAll(/\{\w+\}/g, 'nonsense')
        const answer = await buying.shop.app.http.inject({ method: method as Method, url })
        // A fixed address may also be read as one with a parameter: GET /v1/payments/webhook is an id that is none.
        if (answer.statusCode !== 405) expect([400, 401, 404], `${method} ${url}`).toContain(answer.statusCode)
        else expect(String(answer.headers.allow).split(', '), url).toEqual(expect.arrayContaining([...methods]))
      }
  })
})

describe('what is another customer’s is what is missing, byte for byte', () => {
  type Ids = Record<'cart' | 'ord' | 'pay', string>
  const missing: Ids = { cart: newId('cart'), ord: newId('ord'), pay: newId('pay') }
  const told = ({ status, text, headers }: Sent, ids: Ids) => ({
    status,
    type: headers['content-type'],
    text: Object.values(ids)
      .reduce<string>((text, id) => text.replaceAll(id, 'ID'), text)
      .replace(/"instance":"[^"]*"/, ''),
  })
  const asks: [Method, (ids: Ids) => string, ((ids: Ids) => object)?][] = [
    ['GET', ({ cart }) => `/v1/carts/${cart}`],
    ['PATCH', ({ cart }) => `/v1/carts/${cart}`, () => ({ note: 'mine' })],
    ['DELETE', ({ cart }) => `/v1/carts/${cart}/items/${newId('item')}`],
    ['POST', ({ cart }) => `/v1/carts/${cart}/merge`, ({ cart }) => ({ fromCartId: cart })],
    ['POST', () => '/v1/orders', ({ cart }) => ({ cartId: cart })],
    ['GET', ({ ord }) => `/v1/orders/${ord}`],
    ['POST', ({ ord }) => `/v1/orders/${ord}/cancellation`, () => ({})],
    ['GET', ({ pay }) => `/v1/payments/${pay}`],
    ['POST', ({ pay }) => `/v1/payments/${pay}/attempts`, () => ({ method: 'sandbox', token: 'tok_ok' })],
  ]

  test.each(['another customer', 'a guest', 'a guest with another’s tokens'])('for %s', async (who) => {
    const theirs: Ids = { cart: order.cart.id, ord: order.id, pay: order.body.payment.id }
    const other = await buying.anOrder()
    const headers: Record<string, string> =
      who === 'another customer'
        ? customer
        : who === 'a guest'
          ? {}
          : { 'x-cart-token': other.cart.token, 'x-order-token': other.token }
    for (const [method, url, of] of asks) {
      const [foreign, none] = [
        await buying.send(method, url(theirs), of?.(theirs), headers),
        await buying.send(method, url(missing), of?.(missing), headers),
      ]
      expect(foreign.status, `${method} ${url(theirs)}: ${foreign.text}`).toBe(404)
      expect(told(foreign, theirs)).toEqual(told(none, missing))
    }
  })
})
