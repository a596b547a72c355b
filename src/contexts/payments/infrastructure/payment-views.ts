import { sql } from 'kysely'
import type { AttemptId, CaptureId, OrderId, PaymentId, RefundId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Proof } from '../application/attempt-payment.ts'
import type { Attempt, AttemptStatus } from '../domain/attempt.ts'
import type { CaptureRequest } from '../domain/capture-request.ts'
import type { PaymentStatus } from '../domain/payment.ts'
import type { Decline } from '../domain/provider-payment.ts'
import type { Refund } from '../domain/refund.ts'

export type AttemptView = {
  id: AttemptId
  paymentId: PaymentId
  status: 'processing' | 'requiresAction' | 'succeeded' | 'declined' | 'cancelled'
  nextAction?: { type: 'redirect' | 'sdk'; url?: string }
  clientSecret?: string
  decline?: Decline
  createdAt: string
}
export type RefundView = {
  id: RefundId
  paymentId: PaymentId
  status: Refund['status']
  amount: Money
  createdAt: string
}
export type CaptureView = Omit<RefundView, 'id'> & { id: CaptureId }
export type PaymentView = {
  id: PaymentId
  orderId: OrderId
  status: PaymentStatus
  amount: Money
  captured: Money
  refunded: Money
  payableUntil: string
  attempts: AttemptView[]
  refunds: RefundView[]
}

/** A payment as orders show it; `isBusy` while one has not ended. */
export type ShortPayment = {
  id: PaymentId
  status: PaymentStatus
  amount: Money
  capturedMinor: number
  refundedMinor: number
  isBusy: boolean
}
export type PaymentViews = (reader: Reader, ids: readonly PaymentId[]) => Promise<Map<PaymentId, ShortPayment>>

/** To the buyer, an attempt that is being made or whose answer was lost is being processed. */
const SHOWN: Readonly<Record<AttemptStatus, AttemptView['status']>> = {
  created: 'processing',
  unknown: 'processing',
  processing: 'processing',
  requiresAction: 'requiresAction',
  succeeded: 'succeeded',
  declined: 'declined',
  cancelled: 'cancelled',
}

type Shown = Pick<Attempt, 'id' | 'paymentId' | 'status' | 'redirectUrl' | 'decline'> & {
  createdAt: Date | string
  clientSecret?: string | null
}

/** An attempt as it is answered and listed. */
export const attemptView = ({ id, paymentId, status, decline, createdAt, ...next }: Shown): AttemptView => ({
  id,
  paymentId,
  status: SHOWN[status],
  ...(status === 'requiresAction' ? { nextAction: nextActionOf(next.redirectUrl) } : {}),
  ...(next.clientSecret ? { clientSecret: next.clientSecret } : {}),
  ...(decline === null ? {} : { decline }),
  createdAt: new Date(createdAt).toISOString(),
})

/** Where the buyer goes on: on the provider's page, or in its script on the page of the shop. */
const nextActionOf = (url: string | null) =>
  url === null ? { type: 'sdk' as const } : { type: 'redirect' as const, url }

/** A payment without the pages where its buyer approves, whose addresses are theirs alone. */
export const withoutPages = (view: PaymentView): PaymentView => ({
  ...view,
  attempts: view.attempts.map((attempt) =>
    attempt.nextAction ? { ...attempt, nextAction: { type: attempt.nextAction.type } } : attempt,
  ),
})

/** A capture as it is answered. */
export const captureView = ({ id, paymentId, status, amount, createdAt }: CaptureRequest): CaptureView => ({
  id,
  paymentId,
  status,
  amount,
  createdAt: createdAt.toISOString(),
})

/** A refund as it is answered and listed. */
export const refundView = ({ id, paymentId, status, amount, createdAt }: Refund): RefundView => ({
  id,
  paymentId,
  status,
  amount,
  createdAt: createdAt.toISOString(),
})

type Row = {
  order_id: OrderId
  buyer_user_id: Proof['buyerUserId']
  token_version: number
  status: PaymentStatus
  amount_minor: number
  currency: string
  captured_minor: number
  refunded_minor: number
  payable_until: Date
  attempts: Shown[]
  refunds: (Omit<RefundView, 'paymentId' | 'createdAt' | 'amount'> & { amountMinor: number; createdAt: string })[]
}

/** One payment with its attempts and refunds, and what proves whose it is. */
export async function viewPayment(
  reader: Reader,
  id: PaymentId,
): Promise<{ view: PaymentView; proof: Proof } | undefined> {
  const { rows } = await sql<Row>`
    select p.order_id, p.buyer_user_id, p.token_version, p.status, p.amount_minor, p.currency, p.captured_minor,
      p.refunded_minor, p.payable_until,
      coalesce((select jsonb_agg(jsonb_build_object('id', a.id, 'paymentId', p.id, 'status', a.status,
          'redirectUrl', a.redirect_url, 'createdAt', a.created_at, 'decline',
          case when a.decline_code is not null then jsonb_build_object('code', a.decline_code,
            'message', a.decline_message, 'retryable', a.decline_retryable) end) order by a.id)
        from payments.attempts a where a.payment_id = p.id), '[]') as attempts,
      coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'status', r.status, 'amountMinor', r.amount_minor,
          'createdAt', r.created_at) order by r.id)
        from payments.refunds r where r.payment_id = p.id and not r.surplus), '[]') as refunds
    from payments.payments p where p.id = ${id}`.execute(reader)
  const row = rows[0]
  if (!row) return undefined
  const { currency } = row
  const refunds = row.refunds.map(({ amountMinor, createdAt, ...refund }) => ({
    ...refund,
    paymentId: id,
    amount: { amountMinor, currency },
    createdAt: new Date(createdAt).toISOString(),
  }))
  return {
    view: {
      id,
      orderId: row.order_id,
      status: row.status,
      amount: { amountMinor: row.amount_minor, currency },
      captured: { amountMinor: row.captured_minor, currency },
      refunded: { amountMinor: row.refunded_minor, currency },
      payableUntil: row.payable_until.toISOString(),
      attempts: row.attempts.map(attemptView),
      refunds,
    },
    proof: { orderId: row.order_id, tokenVersion: row.token_version, buyerUserId: row.buyer_user_id },
  }
}

/** Payments in short, by id. */
export const paymentViews: PaymentViews = async (reader, ids) => {
  const { rows } = await sql<{
    id: PaymentId
    status: PaymentStatus
    amount_minor: number
    currency: string
    captured_minor: number
    refunded_minor: number
    is_busy: boolean
  }>`
    select p.id, p.status, p.amount_minor, p.currency, p.captured_minor, p.refunded_minor,
      exists (select from payments.attempts a where a.payment_id = p.id and a.lease_until is not null) as is_busy
    from payments.payments p where p.id = any(${ids}::text[])`.execute(reader)
  return new Map(
    rows.map((row) => [
      row.id,
      {
        id: row.id,
        status: row.status,
        amount: { amountMinor: row.amount_minor, currency: row.currency },
        capturedMinor: row.captured_minor,
        refundedMinor: row.refunded_minor,
        isBusy: row.is_busy,
      },
    ]),
  )
}
