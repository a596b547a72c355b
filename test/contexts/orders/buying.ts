import { randomUUID } from 'node:crypto'
import { type RawBuilder, sql } from 'kysely'
import { startSandbox } from '../../../src/sandbox/server.ts'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { bearer, peopleOf } from '../users/people.ts'

export const ADDRESS = {
  name: 'Ann Lee',
  line1: '1 Main St',
  city: 'London',
  postalCode: 'N1 1AA',
  countryCode: 'GB',
}
const SECRETS = { SANDBOX_SECRET_KEY: 'sk_sandbox_of_the_tests', SANDBOX_WEBHOOK_SECRET: 'whsec_of_the_tests_only' }

export type Guest = { readonly id: string; readonly token: string; readonly headers: Record<string, string> }
export type Placed = Guest & { readonly body: Sent['body']; readonly cart: Guest }
export type Buying = Awaited<ReturnType<typeof openForBuying>>

/** A shop with a sandbox provider beside it whose webhooks go nowhere, and everything a buyer and staff do with it. */
export async function openForBuying(env: Record<string, string> = {}) {
  const sandbox = await startSandbox({
    port: 0,
    webhookUrl: 'http://127.0.0.1:9/nobody',
    secret: SECRETS.SANDBOX_WEBHOOK_SECRET,
    apiKey: SECRETS.SANDBOX_SECRET_KEY,
  })
  const shop: TestShop = await testShop({ SANDBOX_URL: sandbox.url, ...SECRETS, ...env })
  const people = peopleOf(shop)
  const owner = await people.createOwner()
  const { send } = shop

  /** Logs in, again when the access token of 10 minutes has grown old by the shop's clock, which tests move. */
  const sessions = new Map<string, { session: Sent; at: number }>()
  const sessionOf = async (email: string, password?: string): Promise<Sent> => {
    const now = shop.clock.now.getTime()
    const known = sessions.get(email)
    if (known && now - known.at < 5 * 60_000) return known.session
    const session = await people.logIn(email, password)
    sessions.set(email, { session, at: now })
    return session
  }
  const asOwner = async ({ anew = false } = {}) => {
    if (anew) sessions.delete(owner?.email ?? '')
    return bearer(await sessionOf(owner?.email ?? '', owner?.password))
  }
  const employed = new Set<string>()

  const aVariant = async (variant: object = {}, product: object = {}): Promise<string> => {
    const made = await send(
      'POST',
      '/v1/products',
      {
        title: 'Mug',
        handle: `mug-${randomUUID().slice(0, 8)}`,
        status: 'active',
        ...product,
        variants: [{ prices: [{ currency: 'USD', amountMinor: 1200 }], onHand: 10, ...variant }],
      },
      await asOwner(),
    )
    if (made.status !== 201) throw new Error(made.text)
    return made.body.variants[0].id
  }

  const aCart = async (items: object[], more: object = {}, headers: Record<string, string> = {}): Promise<Guest> => {
    const ready = { items, email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
    const made = await send('POST', '/v1/carts', { ...ready, ...more }, headers)
    if (made.status !== 201) throw new Error(made.text)
    const { id, token } = made.body
    return { id, token, headers: token ? { 'x-cart-token': token } : headers }
  }

  const order = (cart: Guest, more: object = {}, headers: Record<string, string> = {}) =>
    send('POST', '/v1/orders', { cartId: cart.id, ...more }, { ...cart.headers, ...headers })

  const placed = async (cart: Guest): Promise<Placed> => {
    const { status, body, text } = await order(cart)
    if (status !== 201) throw new Error(text)
    return {
      id: body.id,
      token: body.token,
      body,
      cart,
      headers: body.token ? { 'x-order-token': body.token } : cart.headers,
    }
  }

  const read = (one: Guest) => send('GET', `/v1/orders/${one.id}`, undefined, one.headers)
  const pay = (one: Placed, token = 'tok_ok') =>
    send('POST', `/v1/payments/${one.body.payment.id}/attempts`, { method: 'sandbox', token }, one.headers)
  const rows = async <Row>(query: RawBuilder<Row>): Promise<Row[]> => (await query.execute(shop.app.database.db)).rows

  return {
    ...{ shop, send, people, asOwner, sandbox, aVariant, aCart, order, placed, read, pay, rows },
    anOrder: async (variant: object = {}, quantity = 2) =>
      placed(await aCart([{ variantId: await aVariant(variant), quantity }])),
    /** An order that is paid, its events done. */
    aPaidOrder: async (variant: object = {}, quantity = 2): Promise<Placed> => {
      const one = await placed(await aCart([{ variantId: await aVariant(variant), quantity }]))
      const attempt = await pay(one)
      if (attempt.body?.status !== 'succeeded') throw new Error(attempt.text)
      await shop.app.settle()
      return one
    },
    staff: async (role: string) => {
      const email = `${role}@shop.example`
      const by = await sessionOf(owner?.email ?? '', owner?.password)
      if (!employed.has(role)) await people.staff(by, email, [role])
      employed.add(role)
      return bearer(await sessionOf(email))
    },
    stock: async (variantId: string) => {
      const [row] = await rows(sql<{ on_hand: number; held: number; committed: number }>`
        select on_hand, held, committed from catalog.stock where variant_id = ${variantId}`)
      return row
    },
    close: async () => {
      await shop.close()
      await sandbox.close()
    },
  }
}
