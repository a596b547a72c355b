import { type RawBuilder, sql } from 'kysely'
import type { OrderId, PaymentId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { LedgerEntry } from '../domain/ledger.ts'

/** An entry of the books: `amount` moved from the credited account to the debited one. */
export type LedgerEntryView = {
  readonly id: number
  readonly bookedAt: string
  readonly orderId: OrderId
  readonly orderNumber: string
  readonly paymentId: PaymentId
  readonly refundId: RefundId | null
  readonly providerDisputeId: string | null
  readonly kind: LedgerEntry['kind']
  readonly debit: string
  readonly credit: string
  readonly amount: Money
}
/** From this moment on, and before that one. */
export type LedgerRange = { readonly from?: Date | undefined; readonly before?: Date | undefined }
export type LedgerFilter = LedgerRange & {
  readonly orderId?: OrderId | undefined
  readonly paymentId?: PaymentId | undefined
  /** The entry after which the page begins. */
  readonly afterId?: number | undefined
  readonly limit: number
}

type Row = Omit<LedgerEntryView, 'bookedAt' | 'amount'> & { bookedAt: Date; amountMinor: number; currency: string }

const ENTRY = sql`
  select l.id, l.booked_at as "bookedAt", p.order_id as "orderId", p.order_number as "orderNumber",
    l.payment_id as "paymentId", l.refund_id as "refundId", l.provider_dispute_id as "providerDisputeId", l.kind,
    l.debit, l.credit, l.amount_minor as "amountMinor", l.currency
  from payments.ledger l join payments.payments p on p.id = l.payment_id`

/** One page of the books, what was booked last first. */
export async function listLedger(db: Reader, filter: LedgerFilter): Promise<Page<LedgerEntryView>> {
  const { orderId, paymentId, afterId, limit } = filter
  const conditions = [
    inRange(filter),
    ...(orderId ? [sql`p.order_id = ${orderId}`] : []),
    ...(paymentId ? [sql`l.payment_id = ${paymentId}`] : []),
    ...(afterId === undefined ? [] : [sql`(l.booked_at, l.id) < ${placeOf(afterId)}`]),
  ]
  const { rows } = await sql<Row>`
    ${ENTRY} where ${sql.join(conditions, sql` and `)}
    order by l.booked_at desc, l.id desc limit ${limit + 1}`.execute(db)
  return pageOf(rows, limit, entryView, ({ id }) => [id])
}

/** The next entries after this one, in the order in which they were booked. */
export async function entriesAfter(
  db: Reader,
  range: LedgerRange,
  afterId: number | undefined,
  limit: number,
): Promise<LedgerEntryView[]> {
  const after = afterId === undefined ? sql`` : sql`and (l.booked_at, l.id) > ${placeOf(afterId)}`
  const { rows } = await sql<Row>`
    ${ENTRY} where ${inRange(range)} ${after} order by l.booked_at, l.id limit ${limit}`.execute(db)
  return rows.map(entryView)
}

/** How many entries there are. */
export async function countEntries(db: Reader, range: LedgerRange): Promise<number> {
  const { rows } = await sql<{ entries: number }>`
    select count(*) as entries from payments.ledger l where ${inRange(range)}`.execute(db)
  return rows[0]?.entries ?? 0
}

/** What moved on an account on one day; `balance` is debit less credit. */
export type AccountDay = {
  readonly account: string
  readonly debit: Money
  readonly credit: Money
  readonly balance: Money
}
/** A day, UTC, on which something was booked. */
export type LedgerDay = { readonly day: string; readonly accounts: readonly AccountDay[] }
type DayRow = { day: string; account: string; currency: string; debit: number; credit: number; entry: number }

/**
 * One page of the days on which something was booked, the last first, each summed by currency and account. The days are
 * found one by one in the index, and only those of the page are summed.
 */
export async function listLedgerDays(
  db: Reader,
  filter: LedgerRange & {
    readonly currency?: string | undefined
    readonly afterId?: number | undefined
    limit: number
  },
): Promise<Page<LedgerDay>> {
  const { currency, afterId, limit } = filter
  const conditions = [
    inRange(filter),
    ...(currency ? [sql`l.currency = ${currency}`] : []),
    ...(afterId === undefined
      ? []
      : [sql`l.booked_at < (select ${dayOf('a')} from payments.ledger a where a.id = ${afterId})`]),
  ]
  const wanted = sql.join(conditions, sql` and `)
  const { rows } = await sql<DayRow>`
    with recursive days (start) as (
      (select ${dayOf('l')} from payments.ledger l where ${wanted} order by l.booked_at desc limit 1)
      union all
      select (select ${dayOf('l')} from payments.ledger l
        where ${wanted} and l.booked_at < d.start order by l.booked_at desc limit 1)
      from days d where d.start is not null
    ), page as (select start from days where start is not null limit ${limit + 1})
    select to_char(d.start at time zone 'UTC', 'YYYY-MM-DD') as day, s.account, l.currency, sum(s.debit)::bigint as debit,
      sum(s.credit)::bigint as credit, min(l.id) as entry
    from page d join payments.ledger l on l.booked_at >= d.start and l.booked_at < d.start + interval '24 hours'
      cross join lateral (values (l.debit, l.amount_minor, 0), (l.credit, 0, l.amount_minor)) as s (account, debit, credit)
    where ${wanted} group by d.start, l.currency, s.account order by d.start desc, l.currency, s.account`.execute(db)
  const days = [...Map.groupBy(rows, ({ day }) => day).values()]
  return pageOf(days, limit, toDay, ([first]) => [first?.entry ?? 0])
}

const inRange = ({ from, before }: LedgerRange): RawBuilder<unknown> =>
  sql.join(
    [sql`true`, ...(from ? [sql`l.booked_at >= ${from}`] : []), ...(before ? [sql`l.booked_at < ${before}`] : [])],
    sql` and `,
  )

/** Where an entry stands in the order of the books. It stays there: entries neither move nor go. */
const placeOf = (id: number) => sql`(select a.booked_at, a.id from payments.ledger a where a.id = ${id})`

const dayOf = (entry: 'a' | 'l') => sql`date_trunc('day', ${sql.ref(`${entry}.booked_at`)}, 'UTC')`

const entryView = ({ bookedAt, amountMinor, currency, ...row }: Row): LedgerEntryView => ({
  ...row,
  bookedAt: bookedAt.toISOString(),
  amount: { amountMinor, currency },
})

const toDay = (rows: readonly DayRow[]): LedgerDay => ({
  day: rows[0]?.day ?? '',
  accounts: rows.map(({ account, currency, debit, credit }) => ({
    account,
    debit: { amountMinor: debit, currency },
    credit: { amountMinor: credit, currency },
    balance: { amountMinor: debit - credit, currency },
  })),
})
