import { sql } from 'kysely'
import type { ForgetOrders, PaymentViews } from '#contexts/payments/index.ts'
import type { CartId, NoteId, OrderId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Person, PersonalData } from '#platform/privacy.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import { ERASED_EMAIL } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'
import { type OrderRow, orderColumns, orderOf } from './order-rows.ts'
import { EMAIL_FIELD } from './order-store.ts'
import { orderView } from './order-views.ts'
import { personalOf, type SealedPersonal } from './personal.ts'

/** What stands where notes and reasons about a person stood. */
const ERASED_NOTE = 'erased'

type CartRow = SealedPersonal & {
  id: CartId
  status: string
  locale: string
  items: object
  metadata: object
  created_at: Date
}

/** Orders' part in a person's export and erasure: theirs by account, or bought as a guest with their verified e-mail. */
export function personalData(
  encryption: Encryption,
  { paymentViews, forgetOrders }: { paymentViews: PaymentViews; forgetOrders: ForgetOrders },
): PersonalData {
  const [ofOrders, ofCarts] = [personalOf('orders.orders', encryption), personalOf('orders.carts', encryption)]
  const theirs = ({ userId, emailIndex }: Person, until?: Date) =>
    sql`(o.user_id = ${userId}::text or (o.email_index = ${emailIndex}::bytea
      and (${until ?? null}::timestamptz is null or o.placed_at <= ${until ?? null}::timestamptz)))`

  const collect = async (db: Reader, person: Person) => {
    const { rows } = await sql<OrderRow>`
      select ${orderColumns} from orders.orders o where ${theirs(person)} order by o.id`.execute(db)
    const orders = rows.map((row) => orderOf(row, ofOrders))
    const payments = await paymentViews(
      db,
      orders.flatMap(({ paymentId }) => paymentId ?? []),
    )
    const { rows: carts } = await sql<CartRow>`
      select id, status, locale, items, metadata, created_at, email, shipping_address, billing_address, note
      from orders.carts where user_id = ${person.userId} order by id`.execute(db)
    return {
      orders: orders.map((order) => {
        const { token: _, ...view } = orderView(order, null, '')
        return { ...view, locale: order.locale, payment: (order.paymentId && payments.get(order.paymentId)) ?? null }
      }),
      carts: carts.map(({ id, status, locale, items, metadata, created_at, ...sealed }) => ({
        ...{ id, status, locale, items: Object.values(items), metadata, createdAt: created_at.toISOString() },
        ...ofCarts.open(id, sealed),
      })),
    }
  }

  /** Refuses orders.under-way while an order is still to be paid or shipped: it needs its address. */
  const refuseIfNeeded = async (work: Work, person: Person): Promise<void> => {
    const { rows } = await sql<{ number: string }>`
      select o.number from orders.orders o where ${theirs(person)} and o.status in ('pending', 'paid')
      order by o.id limit 20`.execute(work.tx)
    if (rows.length > 0) throw refuse('orders.under-way', undefined, { orders: rows.map(({ number }) => number) })
  }

  /** Takes the person out of the orders that they have, whatever state these are in; of carts everything but the goods. */
  const forget = async (work: Work, person: Person, until: Date): Promise<void> => {
    const { tx, now } = work
    const { rows } = await sql<{ id: OrderId; noteIds: NoteId[] }>`
      with theirs as (
        select o.id from orders.orders o where ${theirs(person, until)} order by o.id for update)
      select t.id, array(select n.id from orders.notes n where n.order_id = t.id) as "noteIds" from theirs t`.execute(
      tx,
    )
    const orders = rows.map(({ id }) => ({ id, email: ofOrders.seal(id, { ...nobody, email: ERASED_EMAIL }).email }))
    const notes = rows.flatMap(({ noteIds }) =>
      noteIds.map((id) => ({
        id,
        text: encryption.seal(ERASED_NOTE, { table: 'orders.notes', column: 'text', row: id }),
      })),
    )
    await sql`
      with gone as (
        select id, email from unnest(${orders.map(({ id }) => id)}::text[], ${orders.map(({ email }) => email)}::bytea[])
          as g (id, email)),
      lines as (update orders.order_lines l set metadata = '{}' from gone where l.order_id = gone.id),
      parcels as (update orders.shipments s set tracking_number = null from gone where s.order_id = gone.id),
      returns as (update orders.returns r set reason = ${ERASED_NOTE} from gone where r.order_id = gone.id),
      told as (
        update orders.notes n set text = t.text
        from unnest(${notes.map(({ id }) => id)}::text[], ${notes.map(({ text }) => text)}::bytea[]) as t (id, text)
        where n.id = t.id),
      carts as (
        update orders.carts c set email = null, shipping_address = null, billing_address = null, note = null,
          metadata = '{}', locale = 'en', updated_at = ${now},
          items = (select coalesce(jsonb_object_agg(key, value - 'metadata'), '{}') from jsonb_each(c.items))
        where c.user_id = ${person.userId}
          or c.id in (select o.cart_id from orders.orders o join gone on gone.id = o.id))
      update orders.orders o set email = gone.email, email_index = ${encryption.blindIndex(ERASED_EMAIL, EMAIL_FIELD)},
        shipping_address = null, billing_address = null, note = null, metadata = '{}', locale = 'en',
        token_version = token_version + 1, updated_at = ${now}
      from gone where o.id = gone.id`.execute(tx)
    await forgetOrders(
      work,
      rows.map(({ id }) => id),
    )
  }

  return { collect, refuseIfNeeded, forget }
}

const nobody = { email: null, shippingAddress: null, billingAddress: null, note: null }

const KEPT_DAYS = 90

/** Removes carts that nobody touched for 90 days and that no order came of. */
export async function forgetOldCarts(db: Reader, now: Date): Promise<void> {
  const before = new Date(now.getTime() - KEPT_DAYS * 24 * 60 * 60_000)
  await sql`
    delete from orders.carts where id in (
      select id from orders.carts where status <> 'ordered' and updated_at < ${before} limit 10000)`.execute(db)
}
