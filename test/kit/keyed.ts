import { randomUUID } from 'node:crypto'
import { ADDRESS, type Buying, type Guest, type Placed } from '../contexts/orders/buying.ts'
import { bearer, PASSWORD } from '../contexts/users/people.ts'
import { keyedPayments } from './keyed-payments.ts'

type Headers = Readonly<Record<string, string>>

/** A request that does something: what stands in its path, who sends it, its body, and another body that is sound too. */
export type Keyed = {
  readonly ids?: readonly (string | number)[]
  readonly as: Headers
  readonly body?: object | string
  readonly other?: object | string
}

const usd = (amountMinor: number) => ({ amountMinor, currency: 'USD' })
const some = () => randomUUID().slice(0, 8)
const variant = (sku: string) => ({ sku, prices: [usd(1200)], options: { Kind: sku } })
const image = (name: string) => ({ url: `https://example.com/${name}.png` })
const role = () => ({ name: `role-${some()}`, description: 'Reads', permissions: ['orders:read'] })
const colleague = () => ({
  ...{ email: `staff-${some()}@shop.example`, name: 'Staff' },
  ...{ password: PASSWORD, roles: ['support'] },
})

/** For each operation that takes an Idempotency-Key, by its name: makes what it is about, and the request. */
export function keyedRequests(buying: Buying): Readonly<Record<string, () => Promise<Keyed>>> {
  const { people, shop, asOwner } = buying
  const send = async (...request: Parameters<Buying['send']>) => {
    const sent = await buying.send(...request)
    if (sent.status >= 300) throw new Error(`${request[0]} ${request[1]}: ${sent.text}`)
    return sent
  }
  const made = async (path: string, body: object, as?: Headers) =>
    (await send('POST', path, body, as ?? (await asOwner()))).body

  const product = async () => {
    const [one, two] = [some(), some()]
    const body = {
      title: 'Mug',
      handle: `mug-${one}`,
      status: 'active',
      options: ['Kind'],
      variants: [variant(one), variant(two)],
    }
    return made('/v1/products', body)
  }
  const staff = async (
    ids: (string | number)[],
    body?: object,
    other?: object,
    more: Headers = {},
  ): Promise<Keyed> => ({
    ...{ ids, as: { ...(await asOwner()), ...more } },
    ...(body && { body }),
    ...(other && { other }),
  })
  /** With the ETag of what is there. */
  const asItIs = async (path: string, as?: Headers): Promise<Headers> => ({
    'if-match': String((await send('GET', path, undefined, { ...(as ?? (await asOwner())) })).headers.etag),
  })
  const ofProduct = async (id: string, ids: string[] = [], body?: object, other?: object) =>
    staff([id, ...ids], body, other, await asItIs(`/v1/products/${id}`))
  const customer = async (): Promise<Headers> => bearer(await people.customer(`ann-${some()}@example.com`))
  const address = async () => {
    const as = await customer()
    return { as, ...(await made('/v1/users/me/addresses', ADDRESS, as)) }
  }
  const cart = async (): Promise<Guest & { item: string; variantId: string }> => {
    const variantId = await buying.aVariant({ onHand: 100 })
    const one = await buying.aCart([{ variantId, quantity: 2 }])
    const { body } = await send('GET', `/v1/carts/${one.id}`, undefined, one.headers)
    return { ...one, item: body.items[0].id, variantId }
  }
  const authorised = async (): Promise<Placed> => {
    const order = await buying.anOrder()
    await buying.pay(order)
    await shop.app.settle()
    return order
  }
  const paid = async (): Promise<Placed> => {
    const order = await authorised()
    await made(`/v1/payments/${order.body.payment.id}/capture`, {})
    await shop.app.settle()
    return order
  }
  const shipped = async () => {
    const order = await paid()
    await made(`/v1/orders/${order.id}/shipments`, {})
    await shop.app.settle()
    return order
  }
  const itemOf = ({ body }: Placed): string => body.items[0].id

  return {
    importProducts: async () => ({
      as: { ...(await asOwner()), 'content-type': 'text/csv' },
      body: `Handle,Title,Variant Price\nimported-${some()},Imported,1.00\n`,
      other: 'Handle,Title,Variant Price\nother,Other,1.00\n',
    }),
    adjustStock: async () => {
      const variantId = await buying.aVariant({ onHand: 100 })
      return staff([], { variantId, change: -3, reason: 'damaged' }, { variantId, change: -4, reason: 'damaged' })
    },
    createProduct: () => {
      const body = { title: 'Cup', handle: `cup-${some()}`, variants: [{ prices: [usd(100)] }] }
      return staff([], body, { ...body, title: 'Pot' })
    },
    changeProduct: async () => {
      const { id } = await product()
      return ofProduct(id, [], { title: 'Cup' }, { title: 'Pot' })
    },
    archiveProduct: async () => ofProduct((await product()).id),
    addVariant: async () => ofProduct((await product()).id, [], variant(some()), variant(some())),
    changeVariant: async () => {
      const { id, variants } = await product()
      return ofProduct(id, [variants[0].id], { prices: [usd(900)] }, { prices: [usd(800)] })
    },
    archiveVariant: async () => {
      const { id, variants } = await product()
      return ofProduct(id, [variants[0].id])
    },
    addImage: async () => ofProduct((await product()).id, [], image('a'), image('b')),
    removeImage: async () => {
      const { id } = await product()
      const { as } = await ofProduct(id)
      await made(`/v1/products/${id}/images`, image('a'), as)
      const { body } = await send('GET', `/v1/products/${id}`, undefined, { ...(await asOwner()) })
      return ofProduct(id, [body.images[0].id])
    },
    revokeApiKey: async () => staff([(await made('/v1/api-keys', { name: some(), permissions: ['orders:read'] })).id]),
    erasePerson: async () => {
      const email = `gone-${some()}@example.com`
      await people.customer(email)
      return staff([], { email }, { email: 'other@example.com' })
    },
    addAddress: async () => ({ as: await customer(), body: ADDRESS, other: { ...ADDRESS, city: 'Leeds' } }),
    changeAddress: async () => {
      const { as, id } = await address()
      const whole = { ...as, ...(await asItIs(`/v1/users/me/addresses/${id}`, as)) }
      return { ids: [id], as: whole, body: { city: 'Leeds' }, other: { city: 'York' } }
    },
    removeAddress: async () => {
      const { as, id } = await address()
      return { ids: [id], as: { ...as, ...(await asItIs(`/v1/users/me/addresses/${id}`, as)) } }
    },
    changeMe: async () => ({ as: await customer(), body: { name: 'Ann Bee' }, other: { name: 'Ann Cee' } }),
    createStaff: () => {
      const body = colleague()
      return staff([], body, { ...body, name: 'Other' })
    },
    changeAccount: async () => {
      const one = await made('/v1/users', colleague())
      return staff([one.id], { roles: ['finance'] }, { roles: ['catalogue'] }, await asItIs(`/v1/users/${one.id}`))
    },
    makeRole: () => {
      const body = role()
      return staff([], body, { ...body, permissions: [] })
    },
    changeRole: async () => {
      const one = await made('/v1/roles', role())
      return staff(
        [one.name],
        { permissions: [] },
        { permissions: ['payments:read'] },
        await asItIs(`/v1/roles/${one.name}`),
      )
    },
    removeRole: async () => {
      const one = await made('/v1/roles', role())
      return staff([one.name], undefined, undefined, await asItIs(`/v1/roles/${one.name}`))
    },
    endMySession: async () => {
      const email = `ann-${some()}@example.com`
      await people.register(email)
      await people.logIn(email)
      const as = bearer(await people.logIn(email))
      const { body } = await send('GET', '/v1/auth/sessions', undefined, as)
      return { ids: [body.data.find(({ current }: { current: boolean }) => !current).id], as }
    },
    createCart: async () => {
      const items = [{ variantId: await buying.aVariant(), quantity: 1 }]
      return { as: await customer(), body: { items }, other: { items: [] } }
    },
    changeCart: async () => {
      const { id, headers } = await cart()
      return { ids: [id], as: headers, body: { note: 'Ring' }, other: { note: 'Knock' } }
    },
    addCartItem: async () => {
      const { id, headers, variantId } = await cart()
      return { ids: [id], as: headers, body: { variantId, quantity: 1 }, other: { variantId, quantity: 2 } }
    },
    setCartItem: async () => {
      const { id, headers, item } = await cart()
      return { ids: [id, item], as: headers, body: { quantity: 5 }, other: { quantity: 6 } }
    },
    removeCartItem: async () => {
      const { id, headers, item } = await cart()
      return { ids: [id, item], as: headers }
    },
    mergeCarts: async () => {
      const as = await customer()
      const items = [{ variantId: await buying.aVariant(), quantity: 1 }]
      const [into, from] = [await buying.aCart([], {}, as), await buying.aCart(items, {}, as)]
      return { ids: [into.id], as, body: { fromCartId: from.id }, other: { fromCartId: into.id } }
    },
    placeOrder: async () => {
      const { id, headers } = await cart()
      return { as: headers, body: { cartId: id }, other: { cartId: id, expectedTotal: usd(1) } }
    },
    cancelOrder: async () => {
      const { id, headers } = await paid()
      return { ids: [id], as: headers, body: {}, other: { reason: 'Changed my mind' } }
    },
    changeOrderStatus: async () => staff([(await paid()).id], { status: 'shipped' }, { status: 'delivered' }),
    shipOrder: async () => {
      const order = await paid()
      return staff([order.id], { lines: [{ itemId: itemOf(order), quantity: 1 }] }, {})
    },
    returnItems: async () => {
      const order = await shipped()
      const back = (quantity: number) => ({
        lines: [{ itemId: itemOf(order), quantity, restock: true }],
        reason: 'Broken',
      })
      return staff([order.id], back(1), back(2))
    },
    addOrderNote: async () => staff([(await paid()).id], { text: 'Called' }, { text: 'Wrote' }),
    ...keyedPayments(buying, { staff, authorised, paid }),
  }
}
