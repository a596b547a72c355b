import { sql } from 'kysely'
import type { PaymentId } from '#kernel/ids.ts'
import { actorIdOf } from '#platform/db/system.ts'
import type { Work } from '#platform/db/work.ts'
import type { Dispute } from '../domain/dispute.ts'
import type { Refund } from '../domain/refund.ts'
import type { Decision } from '../domain/review.ts'
import type { Held } from '../domain/settle.ts'
import { REFUND, type RefundRow, toRefund } from './refund-store.ts'

type DisputeRow = {
  payment_id: PaymentId
  provider: string
  provider_payment_id: string
  provider_dispute_id: string
  amount_minor: number
  currency: string
  reason: string
  status: Dispute['status']
  opened_at: Date
  ended_at: Date | null
}

/** All refunds and disputes of a locked payment. */
export async function movementsOf(
  work: Work,
  paymentId: PaymentId,
): Promise<{ refunds: Refund[]; disputes: Dispute[] }> {
  const refunds = await sql<RefundRow>`
    select ${REFUND} from payments.refunds r where r.payment_id = ${paymentId} order by r.id`.execute(work.tx)
  const disputes = await sql<DisputeRow>`
    select payment_id, provider, provider_payment_id, provider_dispute_id, amount_minor, currency, reason, status,
      opened_at, ended_at
    from payments.disputes where payment_id = ${paymentId} order by id`.execute(work.tx)
  return { refunds: refunds.rows.map(toRefund), disputes: disputes.rows.map(toDispute) }
}

const toDispute = (row: DisputeRow): Dispute => ({
  paymentId: row.payment_id,
  provider: row.provider,
  providerPaymentId: row.provider_payment_id,
  providerDisputeId: row.provider_dispute_id,
  amount: { amountMinor: row.amount_minor, currency: row.currency },
  reason: row.reason,
  status: row.status,
  openedAt: row.opened_at,
  endedAt: row.ended_at,
})

/** Whether somebody has decided that this object is not to pay this locked payment. */
export async function isJudged(
  work: Work,
  paymentId: PaymentId,
  { provider, id }: { provider: string; id: string },
): Promise<boolean> {
  const { rows } = await sql`
    select id from payments.reviews where payment_id = ${paymentId} and provider = ${provider}
      and provider_payment_id = ${id} and decision is not null`.execute(work.tx)
  return rows.length > 0
}

type HeldRow = { provider: string; provider_payment_id: string; reason: string; taken_minor: number; currency: string }

/** The oldest object of a locked payment that waits for a decision, and why the next one does. */
export async function undecided(
  work: Work,
  paymentId: PaymentId,
): Promise<{ held: Held; more: string | null } | undefined> {
  const { rows } = await sql<HeldRow>`
    select provider, provider_payment_id, reason, taken_minor, currency from payments.reviews
    where payment_id = ${paymentId} and decision is null order by id limit 2`.execute(work.tx)
  const [row, next] = rows
  if (!row) return undefined
  const { provider, provider_payment_id: providerPaymentId, reason, taken_minor: amountMinor, currency } = row
  const held = { paymentId, provider, providerPaymentId, reason, taken: { amountMinor, currency } }
  return { held, more: next?.reason ?? null }
}

/** Notes who decided what about an object. */
export async function noteDecision(
  work: Work,
  { paymentId, provider, providerPaymentId }: Held,
  decision: Decision,
): Promise<void> {
  await sql`
    update payments.reviews
    set decision = ${decision}, decided_by = ${actorIdOf(work.actor)}, decided_at = ${work.now}
    where payment_id = ${paymentId} and provider = ${provider} and provider_payment_id = ${providerPaymentId}
      and decision is null`.execute(work.tx)
}
