import { sql } from 'kysely'
import type { CartId, CartItemId, OrderId, UserId, VariantId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { CartDetails, CartProof, ItemToPut } from '../application/change-cart.ts'
import { type Cart, MAX_CART_ITEMS, MAX_UNITS } from '../domain/cart.ts'
import { checkoutIsOpen } from './checkout-store.ts'
import { personalOf, type SealedPersonal } from './personal.ts'

type StoredItems = Record<VariantId, { id: CartItemId; quantity: number; metadata?: Record<string, string> }>

type CartRow = SealedPersonal & {
  id: CartId
  status: Cart['status']
  user_id: UserId | null
  order_id: OrderId | null
  locale: string
  currency: string
  items: StoredItems
  shipping_method: string | null
  metadata: Record<string, string>
}

const columns = sql`id, status, user_id, order_id, locale, currency, items, email, shipping_address, billing_address, note,
  shipping_method, metadata`

const isOpenAndTheirs = (id: CartId, { userId, holdsToken }: CartProof) => sql`
  id = ${id} and status = 'open' and (user_id = ${userId} or (user_id is null and ${holdsToken}::boolean))`

/** SQL that changes carts. Each change is one statement on one row; undefined when the cart is not open, or not theirs. */
export function makeCartStore(encryption: Encryption) {
  const personal = personalOf('orders.carts', encryption)

  const cartOf = ({ user_id, order_id, shipping_method, items, ...row }: CartRow): Cart => ({
    id: row.id,
    status: row.status,
    userId: user_id,
    orderId: order_id,
    locale: row.locale,
    currency: row.currency,
    items: Object.entries(items)
      .map(([variantId, item]) => ({ metadata: {}, ...item, variantId: variantId as VariantId }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    ...personal.open(row.id, row),
    shippingMethod: shipping_method,
    metadata: row.metadata,
  })

  const insertCart = async (db: Reader, cart: Cart, now: Date): Promise<void> => {
    const items = Object.fromEntries(cart.items.map(({ variantId, ...item }) => [variantId, item]))
    const sealed = personal.seal(cart.id, cart)
    await sql`
      insert into orders.carts (id, user_id, locale, currency, items, email, shipping_address, billing_address, note,
        shipping_method, metadata, created_at, updated_at)
      values (${cart.id}, ${cart.userId}, ${cart.locale}, ${cart.currency}, ${JSON.stringify(items)}::jsonb, ${sealed.email},
        ${sealed.shipping_address}, ${sealed.billing_address}, ${sealed.note}, ${cart.shippingMethod},
        ${JSON.stringify(cart.metadata)}::jsonb, ${now}, ${now})`.execute(db)
  }

  const findCart = async (db: Reader, id: CartId): Promise<Cart | undefined> => {
    const { rows } = await sql<CartRow>`select ${columns} from orders.carts where id = ${id}`.execute(db)
    return rows[0] && cartOf(rows[0])
  }

  const changed = async (db: Reader, statement: ReturnType<typeof sql<CartRow>>): Promise<Cart | undefined> => {
    const { rows } = await statement.execute(db)
    return rows[0] && cartOf(rows[0])
  }

  /** Adds units: a new line, or more of the line that has the variant; not beyond the limits. */
  const putItem = (db: Reader, id: CartId, proof: CartProof, item: ItemToPut, now: Date) => {
    const { itemId, variantId, quantity, metadata } = item
    const limit = Math.min(item.limit, MAX_UNITS)
    return changed(
      db,
      sql<CartRow>`
      update orders.carts set updated_at = ${now}, items = items || jsonb_build_object(${variantId}::text,
        coalesce(items -> ${variantId}::text, jsonb_build_object('id', ${itemId}::text))
        || jsonb_build_object('quantity', coalesce((items -> ${variantId}::text ->> 'quantity')::integer, 0) + ${quantity}::integer)
        || jsonb_build_object('metadata', coalesce(items -> ${variantId}::text -> 'metadata', '{}') || ${JSON.stringify(metadata)}::jsonb))
      where ${isOpenAndTheirs(id, proof)}
        and coalesce((items -> ${variantId}::text ->> 'quantity')::integer, 0) + ${quantity}::integer <= ${limit}::integer
        and (items ? ${variantId}::text or (select count(*) from jsonb_object_keys(items)) < ${MAX_CART_ITEMS}::integer)
      returning ${columns}`,
    )
  }

  /** Sets how many units a line has; 0 takes the line out. */
  const setItem = (db: Reader, id: CartId, proof: CartProof, variantId: VariantId, quantity: number, now: Date) =>
    changed(
      db,
      sql<CartRow>`
      update orders.carts set updated_at = ${now}, items = case when ${quantity}::integer = 0 then items - ${variantId}::text
        else jsonb_set(items, array[${variantId}::text, 'quantity'], to_jsonb(${quantity}::integer)) end
      where ${isOpenAndTheirs(id, proof)} and items ? ${variantId}::text
      returning ${columns}`,
    )

  const setDetails = (db: Reader, id: CartId, proof: CartProof, to: CartDetails, now: Date) => {
    const { email = null, shippingAddress = null, billingAddress = null, note = null } = to
    const sealed = personal.seal(id, { email, shippingAddress, billingAddress, note })
    const given = (key: keyof CartDetails) => sql`${to[key] !== undefined}::boolean`
    return changed(
      db,
      sql<CartRow>`
      update orders.carts set updated_at = ${now},
        email = case when ${given('email')} then ${sealed.email}::bytea else email end,
        shipping_address = case when ${given('shippingAddress')} then ${sealed.shipping_address}::bytea else shipping_address end,
        billing_address = case when ${given('billingAddress')} then ${sealed.billing_address}::bytea else billing_address end,
        note = case when ${given('note')} then ${sealed.note}::bytea else note end,
        shipping_method = case when ${given('shippingMethod')} then ${to.shippingMethod ?? null}::text else shipping_method end,
        metadata = case when ${given('metadata')} then ${JSON.stringify(to.metadata ?? {})}::jsonb else metadata end
      where ${isOpenAndTheirs(id, proof)}
      returning ${columns}`,
    )
  }

  /** Freezes an open cart for its order while checkout is open, and draws the order's number. Whoever else wants it waits here. */
  const freezeCart = async (work: Work, id: CartId, proof: CartProof, orderId: OrderId) => {
    const { rows } = await sql<CartRow & { serial: number }>`
      update orders.carts set status = 'ordered', order_id = ${orderId}, updated_at = ${work.now}
      where ${isOpenAndTheirs(id, proof)} and ${checkoutIsOpen}
      returning ${columns}, nextval('orders.order_numbers') as serial`.execute(work.tx)
    return rows[0] && { cart: cartOf(rows[0]), serial: rows[0].serial }
  }

  /** Freezes the open cart of a late-paid order again; false when it was ordered anew or merged. */
  const refreezeCart = async (work: Work, id: CartId, orderId: OrderId): Promise<boolean> => {
    const { rows } = await sql<{ id: CartId }>`
      update orders.carts set status = 'ordered', order_id = ${orderId}, updated_at = ${work.now}
      where id = ${id} and status = 'open' returning id`.execute(work.tx)
    return rows.length === 1
  }

  /** Opens the carts of orders that came to nothing. */
  const reopenCarts = async (work: Work, orderIds: readonly OrderId[]): Promise<void> => {
    await sql`
      with theirs as (
        select id from orders.carts where status = 'ordered' and order_id = any(${orderIds}::text[])
          and id = any(select cart_id from orders.orders where id = any(${orderIds}::text[]))
        order by id for update
      )
      update orders.carts set status = 'open', order_id = null, updated_at = ${work.now}
      from theirs where carts.id = theirs.id`.execute(work.tx)
  }

  /** Locks two carts in id order; of those that exist, what they hold. */
  const lockCarts = async (work: Work, ids: readonly CartId[]): Promise<Cart[]> => {
    const { rows } = await sql<CartRow>`
      select ${columns} from orders.carts where id = any(${ids}::text[]) order by id for update`.execute(work.tx)
    return rows.map(cartOf)
  }

  const closeMerged = async (work: Work, id: CartId): Promise<void> => {
    await sql`update orders.carts set status = 'merged', items = '{}', updated_at = ${work.now} where id = ${id}`.execute(
      work.tx,
    )
  }

  return {
    ...{ insertCart, findCart, putItem, setItem, setDetails },
    ...{ freezeCart, refreezeCart, reopenCarts, lockCarts, closeMerged },
  }
}

export type CartStore = ReturnType<typeof makeCartStore>
