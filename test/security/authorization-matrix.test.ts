import { isDeepStrictEqual } from 'node:util'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#platform/ids.ts'
import { ADDRESS, type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { bearer } from '../contexts/users/people.ts'
import type { Sent } from '../kit/shop.ts'
import { verdict } from '../kit/verdict.ts'

/**
 * P17: nobody reaches what is not theirs. Every operation of the OpenAPI document × every kind of caller × own, foreign and
 * missing things. What may be is written down here once more, apart from the routes: an operation without a row fails.
 */
const STAFF = ['support', 'catalogue', 'fulfilment', 'finance', 'admin'] as const
type StaffRole = (typeof STAFF)[number]
/** Whose the thing in the address or body is: a shopper's, or the shop's, which staff see all of. */
type Thing = 'cart' | 'order' | 'payment' | 'address' | 'session' | 'shop'
type Row = {
  /** Everybody; those with an account; or these roles. The owner may do everything. */
  readonly who: 'everybody' | 'accounts' | readonly StaffRole[]
  readonly thing?: Thing
  /** Whether a server key that may only read orders gets it too. */
  readonly key?: true
  readonly body?: (ids: Ids) => object
}
type Ids = { readonly id: string; readonly itemId: string }

const all: Row = { who: 'everybody', key: true }
const account: Row = { who: 'accounts' }
const staff = (...who: StaffRole[]): Row => ({ who: [...who, 'admin'] })
const ofShop = (...who: StaffRole[]): Row => ({ ...staff(...who), thing: 'shop' })
const mine = (thing: Thing, body?: Row['body'], who: Row['who'] = 'everybody'): Row => ({
  who,
  thing,
  ...(who === 'everybody' ? { key: true as const } : {}),
  ...(body ? { body } : {}),
})

const ROWS: Readonly<Record<string, Row>> = {
  getHealth: all,
  getLiveness: all,
  getReadiness: all,
  getMetrics: all,
  readSigningKeys: all,
  readStore: all,
  listProducts: all,
  getProduct: { ...all, thing: 'shop' },
  listCategories: all,
  register: all,
  logIn: all,
  refreshSession: all,
  logOut: all,
  verifyEmail: all,
  resendVerification: all,
  forgotPassword: all,
  resetPassword: all,
  changeEmail: all,
  receiveWebhook: all,
  receiveDefaultWebhook: all,
  createCart: all,
  readCart: mine('cart'),
  changeCart: mine('cart', () => ({ note: 'mine' })),
  addCartItem: mine('cart', () => ({ variantId, quantity: 1 })),
  setCartItem: mine('cart', () => ({ quantity: 2 })),
  removeCartItem: mine('cart'),
  mergeCarts: mine('cart', ({ id }) => ({ fromCartId: id })),
  placeOrder: mine('cart', ({ id }) => ({ cartId: id })),
  readOrder: mine('order'),
  cancelOrder: mine('order', () => ({})),
  getPayment: mine('payment'),
  attemptPayment: mine('payment', () => ({ method: 'sandbox', token: 'tok_ok' })),
  listOrders: { ...account, key: true },
  readMe: account,
  changeMe: account,
  changePassword: account,
  askEmailChange: account,
  reauthenticate: account,
  readSecondFactor: account,
  startTotp: account,
  confirmTotp: account,
  renewRecoveryCodes: account,
  removeTotp: account,
  listMySessions: account,
  endMySession: mine('session', undefined, 'accounts'),
  endMySessions: account,
  listAddresses: account,
  addAddress: account,
  readAddress: mine('address', undefined, 'accounts'),
  changeAddress: mine('address', () => ({ city: 'Paris' }), 'accounts'),
  removeAddress: mine('address', undefined, 'accounts'),
  exportMe: account,
  closeMyAccount: account,
  changeOrderStatus: ofShop('fulfilment'),
  shipOrder: ofShop('fulfilment'),
  returnItems: ofShop('fulfilment'),
  addOrderNote: ofShop('support', 'fulfilment'),
  readOrderTimeline: { ...ofShop('support', 'fulfilment', 'finance'), key: true },
  capturePayment: ofShop('finance'),
  recordReceipt: { ...ofShop('finance'), body: () => ({ amount: { amountMinor: 100, currency: 'USD' } }) },
  reviewPayment: { ...ofShop('finance'), body: () => ({ decision: 'dismiss', reason: 'Not ours' }) },
  refundPayment: ofShop('finance'),
  listPayments: staff('support', 'finance'),
  listPaymentWebhooks: staff('finance'),
  readPaymentWebhook: ofShop('finance'),
  replayPaymentWebhook: ofShop('finance'),
  listLedger: staff('finance'),
  listLedgerDays: staff('finance'),
  exportLedger: staff('finance'),
  listInventory: staff('support', 'catalogue', 'fulfilment'),
  listLocations: staff('support', 'catalogue', 'fulfilment'),
  adjustStock: staff('catalogue', 'fulfilment'),
  createProduct: staff('catalogue'),
  changeProduct: ofShop('catalogue'),
  archiveProduct: ofShop('catalogue'),
  addVariant: ofShop('catalogue'),
  changeVariant: ofShop('catalogue'),
  archiveVariant: ofShop('catalogue'),
  addImage: ofShop('catalogue'),
  removeImage: ofShop('catalogue'),
  importProducts: staff('catalogue'),
  getImport: ofShop('catalogue'),
  exportProducts: staff('catalogue'),
  listUsers: staff('support'),
  readUser: ofShop('support'),
  createStaff: staff(),
  changeAccount: ofShop(),
  exportUser: ofShop(),
  erasePerson: staff(),
  listRoles: staff(),
  readRole: ofShop(),
  makeRole: staff(),
  changeRole: ofShop(),
  removeRole: ofShop(),
  listApiKeys: staff(),
  issueApiKey: staff(),
  revokeApiKey: ofShop(),
  rotateApiKey: ofShop(),
  listAuditLog: staff(),
  listDeadLetters: staff(),
  replayDeadLetter: ofShop(),
}
/** What ends the session of whoever asks: not asked for before the others have been. */
const ENDING = ['logOut', 'closeMyAccount', 'endMySessions']

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
type Operation = { readonly id: string; readonly method: Method; readonly path: string }
type Headers = Record<string, string>

let buying: Buying
let operations: readonly Operation[]
let variantId: string
let ann: Sent
let bea: Sent
beforeAll(async () => {
  buying = await openForBuying()
  variantId = await buying.aVariant({ onHand: 1000 })
  ann = await buying.people.customer('ann@example.com')
  bea = await buying.people.customer('bea@example.com')
  // On another device as well: a session that can be ended.
  for (const email of ['ann@example.com', 'bea@example.com']) await buying.people.logIn(email)
  const { body } = await buying.send('GET', '/openapi.json')
  operations = Object.entries(body.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
    ([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => ({
        id: operationId,
        method: method.toUpperCase() as Method,
        path,
      })),
  )
})
afterAll(() => buying?.close())

const pathOf = (path: string, { id, itemId }: Ids) => path.replace('{id}', id).replaceAll(/\{\w+\}/g, itemId)
const nonsense: Ids = { id: 'nonsense', itemId: 'nonsense' }
const rowOf = (id: string): Row => ROWS[id] ?? { who: [] }
/** Without any refresh token it is 401 to everybody: it gets one that does not fit. */
const UNFIT: Readonly<Record<string, object>> = { refreshSession: { refreshToken: '' } }
/** Asks without a body that fits: whoever may not ask is told so before anything else is looked at. */
const ask = ({ id, method, path }: Operation, headers: Headers) =>
  buying.send(method, pathOf(path, nonsense), UNFIT[id], headers)

/** Which operations these credentials are refused, with which status. */
async function refusals(headers: Headers, status: number): Promise<string[]> {
  const refused: string[] = []
  for (const operation of operations) {
    if (ENDING.includes(operation.id)) continue
    const answer = await ask(operation, headers)
    if (answer.status === 401 || answer.status === 403) expect(answer.status, operation.id).toBe(status)
    if (answer.status === status) refused.push(operation.id)
  }
  return refused.sort()
}
const exceptFor = (may: (row: Row) => boolean) =>
  operations
    .map(({ id }) => id)
    .filter((id) => !ENDING.includes(id) && !may(rowOf(id)))
    .sort()

describe('P17: function level', () => {
  test('every operation has a row, and every row an operation', () => {
    expect(operations.map(({ id }) => id).sort()).toEqual(Object.keys(ROWS).sort())
    for (const { id, path } of operations) if (path.includes('{id}')) expect(rowOf(id).thing, id).toBeDefined()
  })

  /** Tells of one kind of caller: what they are refused, and what should have been. */
  const judge = (who: string, refused: readonly string[], expected: readonly string[]) => {
    const open = expected.filter((id) => !refused.includes(id)).map((id) => `${who} may ask ${id}`)
    const closed = refused.filter((id) => !expected.includes(id)).map((id) => `${who} may not ask ${id}`)
    const asked = operations.length - ENDING.length
    verdict({ promise: 'P17', tried: `operations, asked by ${who}`, n: asked, violations: [...open, ...closed] })
  }

  test('a guest', async () =>
    judge(
      'a guest',
      await refusals({}, 401),
      exceptFor(({ who }) => who === 'everybody'),
    ))

  test('a customer', async () =>
    judge(
      'a customer',
      await refusals(bearer(ann), 403),
      exceptFor(({ who }) => typeof who === 'string'),
    ))

  test.each(STAFF)('%s', async (role) =>
    judge(
      `staff of ${role}`,
      await refusals(await buying.staff(role), 403),
      exceptFor(({ who }) => typeof who === 'string' || who.includes(role)),
    ),
  )

  test('the owner', async () => judge('the owner', await refusals(await buying.asOwner(), 403), []))

  test('a server key gets what it is scoped to, and what is for everybody without asking', async () => {
    const wanted = { name: 'reader', permissions: ['orders:read'] }
    const made = await buying.send('POST', '/v1/api-keys', wanted, await buying.asOwner())
    expect(made.status, made.text).toBe(201)
    const headers = { authorization: `Bearer ${made.body.secret}` }
    judge(
      'a server key',
      await refusals(headers, 403),
      exceptFor(({ key }) => key === true),
    )
    const revoked = await buying.send('DELETE', `/v1/api-keys/${made.body.id}`, undefined, await buying.asOwner())
    expect(revoked.status).toBe(204)
    expect(await refusals(headers, 401)).toEqual(exceptFor(() => false))
  })

  test.each(['expired', 'of another audience', 'of another issuer', 'of another type'])(
    'a token that is %s gets nothing at all: 401',
    async (fault) => {
      const headers = { authorization: `Bearer ${await brokenToken(fault)}` }
      judge(
        `a token that is ${fault}`,
        await refusals(headers, 401),
        exceptFor(() => false),
      )
    },
  )
})

/** A token of Ann's live session, signed with our key, with one thing wrong. */
async function brokenToken(fault: string): Promise<string> {
  const { signingKeys, publicUrl } = buying.shop.app.config
  const [key] = signingKeys
  const { sid } = JSON.parse(Buffer.from(ann.body.accessToken.split('.')[1], 'base64url').toString())
  const now = Math.floor(buying.shop.clock.now.getTime() / 1000)
  const age = fault === 'expired' ? 700 : 0
  return new SignJWT({ sid })
    .setProtectedHeader({ alg: 'EdDSA', typ: fault === 'of another type' ? 'JWT' : 'at+jwt', kid: key!.kid })
    .setSubject(ann.body.user.id)
    .setIssuer(fault === 'of another issuer' ? 'https://elsewhere.example' : publicUrl)
    .setAudience(fault === 'of another audience' ? 'https://elsewhere.example' : publicUrl)
    .setIssuedAt(now - age)
    .setExpirationTime(now - age + 600)
    .sign(key!.privateKey)
}

/** Makes one thing of this caller's: its ids, and what the caller shows for it. */
const makers: Record<Exclude<Thing, 'shop'>, (caller: Headers) => Promise<{ ids: Ids; proof: Headers }>> = {
  cart: async (caller) => {
    const cart = await buying.aCart([{ variantId, quantity: 1 }], {}, caller)
    const { body } = await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)
    return { ids: { id: cart.id, itemId: body.items[0].id }, proof: cart.headers }
  },
  order: async (caller) => {
    const order = await buying.placed(await buying.aCart([{ variantId, quantity: 1 }], {}, caller))
    return { ids: { id: order.id, itemId: order.body.items[0].id }, proof: order.headers }
  },
  payment: async (caller) => {
    const order = await buying.placed(await buying.aCart([{ variantId, quantity: 1 }], {}, caller))
    return { ids: { id: order.body.payment.id, itemId: order.id }, proof: order.headers }
  },
  address: async (caller) => {
    const { body } = await buying.send('POST', '/v1/users/me/addresses', ADDRESS, caller)
    return { ids: { id: body.id, itemId: body.id }, proof: caller }
  },
  session: async (caller) => {
    const { body } = await buying.send('GET', '/v1/auth/sessions', undefined, caller)
    const { id } = body.data.find(({ current }: { current: boolean }) => !current)
    return { ids: { id, itemId: id }, proof: caller }
  },
}
const missing: Record<Exclude<Thing, 'shop'>, Ids> = {
  cart: { id: newId('cart'), itemId: newId('item') },
  order: { id: newId('ord'), itemId: newId('item') },
  payment: { id: newId('pay'), itemId: newId('ord') },
  address: { id: newId('adr'), itemId: newId('adr') },
  session: { id: newId('ses'), itemId: newId('ses') },
}

/** What came back, without what differs by nature: the ids that were asked for and the request's own. */
const told = ({ status, text, headers }: Sent, { id, itemId }: Ids) => ({
  status,
  type: headers['content-type'],
  text: text
    .replaceAll(id, 'ID')
    .replaceAll(itemId, 'ITEM')
    .replace(/"instance":"[^"]*"/, ''),
})

describe('P17: object level', () => {
  const owned = () => operations.filter(({ id }) => !['shop', undefined].includes(rowOf(id).thing))
  const askFor = ({ id, method, path }: Operation, ids: Ids, headers: Headers) =>
    buying.send(method, pathOf(path, ids), rowOf(id).body?.(ids), { 'if-match': '"1"', ...headers })

  test.each(['a customer', 'a guest'])(
    '%s reaches their own; what is another’s is what is missing, byte for byte',
    async (who) => {
      const [caller, other] = who === 'a guest' ? [{}, {}] : [bearer(ann), bearer(bea)]
      let asked = 0
      const violations: string[] = []
      for (const operation of owned()) {
        const { thing, who: may } = rowOf(operation.id) as { thing: Exclude<Thing, 'shop'>; who: Row['who'] }
        if (who === 'a guest' && may !== 'everybody') continue
        const [own, foreign] = [await makers[thing](caller), await makers[thing](other)]
        const notTheirs = await askFor(operation, foreign.ids, own.proof)
        const notThere = await askFor(operation, missing[thing], own.proof)
        const mine = await askFor(operation, own.ids, own.proof)
        asked += 1
        if (notTheirs.status !== 404) violations.push(`${operation.id} of another: ${notTheirs.status}`)
        if (!isDeepStrictEqual(told(notTheirs, foreign.ids), told(notThere, missing[thing])))
          violations.push(`${operation.id} of another: ${notTheirs.text}; of nobody: ${notThere.text}`)
        if ([401, 403, 404, 500].includes(mine.status))
          violations.push(`${operation.id} of their own: ${mine.status} ${mine.text}`)
      }
      expect(asked).toBeGreaterThan(who === 'a guest' ? 9 : 12)
      verdict({
        promise: 'P17',
        tried: `operations on own, foreign and missing things by ${who}`,
        n: asked,
        violations,
      })
    },
  )

  test('a thing of the shop that is missing is 404 to those who may ask for it', async () => {
    const owner = await buying.asOwner()
    for (const operation of operations.filter(({ id, method }) => rowOf(id).thing === 'shop' && method === 'GET')) {
      const prefix = { readUser: 'usr', exportUser: 'usr', getImport: 'imp', readOrderTimeline: 'ord' }[operation.id]
      if (!prefix) continue
      const id = newId(prefix as 'usr')
      expect(
        (await buying.send('GET', pathOf(operation.path, { id, itemId: id }), undefined, owner)).status,
        operation.id,
      ).toBe(404)
    }
  })
})
