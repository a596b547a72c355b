import { type RawBuilder, sql } from 'kysely'
import type { OrderId, PaymentId } from '#kernel/ids.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { PaymentStatus } from '../domain/payment.ts'
import { objectsOf } from './inbox-views.ts'
import type { PaymentSummary } from './schemas.ts'
import type { StaffView } from './staff-schemas.ts'

/** A moment as JSON has it elsewhere. */
const iso = (column: string) =>
  sql`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${sql.id(camelOf(column))}`
const money = (column: string, as: string) =>
  sql`jsonb_build_object('amountMinor', ${sql.ref(column)}, 'currency', currency) as ${sql.id(as)}`
const camelOf = (column: string) =>
  column.replace(/^\w+\./, '').replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase())
const list = (rows: RawBuilder<unknown>, as: keyof StaffView) =>
  sql`coalesce((select jsonb_agg(x) from (${rows}) x), '[]') as ${sql.id(as)}`
const OBJECT = sql`provider, provider_payment_id as "providerPaymentId"`

/** What staff see of a payment beside what its buyer sees, in one statement. */
export async function viewForStaff(reader: Reader, id: PaymentId): Promise<StaffView> {
  const { rows } = await sql<StaffView>`
    select p.provider, p.provider_payment_id as "providerPaymentId", p.review_reason as "reviewReason",
      ${iso('p.authorised_until')},
      ${list(
        sql`select ${OBJECT}, reason, ${money('taken_minor', 'taken')}, ${iso('held_at')}, decision, ${iso('decided_at')}
        from payments.reviews where payment_id = p.id order by id`,
        'reviews',
      )},
      ${list(
        sql`select ${OBJECT}, provider_dispute_id as "providerDisputeId", ${money('amount_minor', 'amount')}, reason, status,
          ${iso('opened_at')}, ${iso('ended_at')}
        from payments.disputes where payment_id = p.id order by id`,
        'disputes',
      )},
      ${list(
        sql`select id, status, ${captureMoney}, last_error as "lastError", ${iso('created_at')}, ${iso('ended_at')}
        from payments.capture_requests where payment_id = p.id order by id`,
        'captureRequests',
      )},
      ${list(
        sql`select id, ${OBJECT}, status, ${money('amount_minor', 'amount')}, ${iso('created_at')}
        from payments.refunds where payment_id = p.id and surplus order by id`,
        'surplusRefunds',
      )},
      ${list(
        sql`select id, type, ${iso('received_at')} from payments.inbox
        where (provider, provider_payment_id) in (${objectsOf(id)}) order by id desc limit 100`,
        'webhooks',
      )},
      ${list(
        sql`select id, ${iso('booked_at')}, p.order_id as "orderId", p.order_number as "orderNumber",
          payment_id as "paymentId", refund_id as "refundId", provider_dispute_id as "providerDisputeId", kind, debit, credit,
          ${money('amount_minor', 'amount')}
        from payments.ledger where payment_id = p.id order by booked_at, id`,
        'ledger',
      )}
    from payments.payments p where p.id = ${id}`.execute(reader)
  return rows[0] ?? {}
}

/** Asked for in the currency of its payment. */
const captureMoney = sql`jsonb_build_object('amountMinor', amount_minor, 'currency', p.currency) as amount`

/** What a list of payments is narrowed to; `afterId` is where the page begins. */
export type PaymentFilter = {
  readonly status?: PaymentStatus
  readonly orderId?: OrderId
  readonly review?: boolean
  readonly disputed?: boolean
  readonly afterId?: string | undefined
  readonly limit: number
}

/** One page of payments, the newest first. */
export async function listPayments(reader: Reader, filter: PaymentFilter): Promise<Page<PaymentSummary>> {
  const { status, orderId, review, disputed, afterId, limit } = filter
  const isDisputed = sql`exists (select from payments.disputes d where d.payment_id = p.id)`
  const conditions = [
    sql`true`,
    ...(status ? [sql`p.status = ${status}`] : []),
    ...(orderId ? [sql`p.order_id = ${orderId}`] : []),
    ...(review === undefined ? [] : [review ? sql`p.review_reason is not null` : sql`p.review_reason is null`]),
    ...(disputed === undefined ? [] : [disputed ? isDisputed : sql`not ${isDisputed}`]),
    ...(afterId === undefined ? [] : [sql`p.id < ${afterId}`]),
  ]
  const { rows } = await sql<PaymentSummary>`
    select p.id, p.order_id as "orderId", p.order_number as "orderNumber", p.status, ${money('amount_minor', 'amount')},
      ${money('captured_minor', 'captured')}, ${money('refunded_minor', 'refunded')}, p.provider,
      p.review_reason as "reviewReason", ${isDisputed} as disputed, ${iso('p.authorised_until')}, ${iso('p.opened_at')}
    from payments.payments p where ${sql.join(conditions, sql` and `)}
    order by p.id desc limit ${limit + 1}`.execute(reader)
  return pageOf(
    rows,
    limit,
    (row) => row,
    ({ id }) => [id],
  )
}
