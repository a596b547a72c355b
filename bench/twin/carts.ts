import { newId } from '#platform/ids.ts'
import type { Rows, Send } from './database.ts'
import { statements } from './statements.ts'

const CACHED_MS = 2_000
const SHIPPING_MINOR = 500

type Row = any
type Goods = Map<string, Row>

/** Goods at most 2 s old, as the shop has them; in a transaction its own connection reads them, lest the pool starve. */
export function makeGoods() {
  const cache = new Map<string, { readonly goods: Row; readonly until: number }>()
  return async (send: Send, ids: readonly string[]): Promise<Goods> => {
    const now = performance.now()
    const missing = ids.filter((id) => (cache.get(id)?.until ?? 0) < now)
    if (missing.length > 0)
      for (const goods of await send(statements.readGoods, ['USD', missing]))
        cache.set(goods.variantId, { goods, until: now + CACHED_MS })
    return new Map(ids.map((id) => [id, cache.get(id)?.goods]))
  }
}

export type Details = { readonly email: string; readonly shippingAddress: object; readonly shippingMethod: string }
type Item = { readonly variantId: string; readonly quantity: number }

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

/** Makes a cart, empty or with all that is known already; resolves with its id. */
export async function insertCart(one: Send, items: readonly Item[] = [], details?: Details): Promise<string> {
  const id = newId('cart')
  const stored = Object.fromEntries(
    items.map(({ variantId, quantity }) => [variantId, { id: newId('item'), quantity }] as const),
  )
  const { email, shippingAddress, shippingMethod } = details ?? {}
  const sealed = [email ? bytes(email) : null, shippingAddress ? bytes(shippingAddress) : null]
  await one(statements.insertCart, [id, 'USD', JSON.stringify(stored), ...sealed, shippingMethod ?? null, new Date()])
  return id
}

/** Adds units of a variant, as far as there are any. */
export async function putItem(one: Send, goodsOf: ReturnType<typeof makeGoods>, id: string, item: Item): Promise<Row> {
  const [cart] = await one(statements.findCart, [id])
  const goods = (await goodsOf(one, [item.variantId])).get(item.variantId)
  if (cart?.status !== 'open' || !goods?.onSale) throw new Error('not sold')
  const values = [new Date(), item.variantId, newId('item'), item.quantity, id, goods.available]
  return only(await one(statements.putItem, values))
}

export const setDetails = async (one: Send, id: string, details: Details): Promise<Row> =>
  only(
    await one(statements.setDetails, [
      new Date(),
      bytes(details.email),
      bytes(details.shippingAddress),
      details.shippingMethod,
      id,
    ]),
  )

/** A cart's lines, with 20 % tax inside, and its sums. */
export function price(cart: Row, goods: Goods) {
  const lines = Object.entries(cart.items as Record<string, { id: string; quantity: number }>).map(
    ([variantId, { id, quantity }], position) => {
      const its = goods.get(variantId)
      const totalMinor = its.unitPriceMinor * quantity
      return { ...its, id, quantity, position, totalMinor, taxMinor: Math.round(totalMinor / 6) }
    },
  )
  const subtotalMinor = lines.reduce((sum, line) => sum + line.totalMinor, 0)
  const shippingMinor = cart.shipping_method ? SHIPPING_MINOR : 0
  const taxMinor = lines.reduce((sum, line) => sum + line.taxMinor, 0)
  return { lines, subtotalMinor, shippingMinor, taxMinor, totalMinor: subtotalMinor + shippingMinor }
}

export const variantsIn = (cart: Row): string[] => Object.keys(cart.items)

export function only(rows: Rows): Row {
  if (rows.length !== 1) throw new Error(`${rows.length} rows instead of one`)
  return rows[0]
}
