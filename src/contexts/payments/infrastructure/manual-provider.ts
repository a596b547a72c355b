import { type RawBuilder, sql } from 'kysely'
import type { Clock } from '#kernel/clock.ts'
import type { AttemptId, PaymentId, RefundId } from '#kernel/ids.ts'
import { isUniqueViolation } from '#platform/db/errors.ts'
import { actorIdOf } from '#platform/db/system.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import {
  CaptureRefused,
  type Charge,
  ChargeRefused,
  type PaymentProvider,
  RefundRefused,
} from '../application/payment-provider.ts'
import { MANUAL, type Receipt } from '../application/record-receipt.ts'
import type { Payment } from '../domain/payment.ts'
import type { ProviderPayment, ProviderRefund } from '../domain/provider-payment.ts'

const MEANS = ['bank-transfer', 'invoice', 'cash']
const PAGE = 100

type Row = {
  id: string
  payment_id: PaymentId
  attempt_id: AttemptId | null
  status: 'awaited' | 'received' | 'cancelled'
  amount_minor: number
  currency: string
  created_at: Date
  refunds: readonly { id: RefundId; amountMinor: number }[]
}
const SHOWN = sql.raw(`m.id, m.payment_id, m.attempt_id, m.status, m.amount_minor, m.currency, m.created_at,
  coalesce((select jsonb_agg(jsonb_build_object('id', r.id, 'amountMinor', r.amount_minor) order by r.id)
    from payments.manual_refunds r where r.manual_id = m.id), '[]') as refunds`)

/**
 * Bank transfer, invoice and cash: a provider whose books are two tables of our own, and whose webhook is a member of
 * staff. A charge waits, `processing`, until somebody records the money; a refund is booked at once, and staff send it.
 */
export function makeManualProvider(db: Reader, clock: Clock, holdDays: number): PaymentProvider {
  const read = async (condition: RawBuilder<unknown>): Promise<ProviderPayment[]> => {
    const { rows } = await sql<Row>`
      select ${SHOWN} from payments.manual_payments m where ${condition} order by m.created_at, m.id limit ${PAGE}`.execute(
      db,
    )
    return rows.map(toPayment)
  }
  const retrieve = async (id: string): Promise<ProviderPayment> => {
    const [found] = await read(sql`m.id = ${id}`)
    if (!found) throw new Error(`There is no manual payment ${id}.`)
    return found
  }
  return {
    name: MANUAL,
    processingMaxMinutes: holdDays * 1_440,
    cancelsProcessing: true,
    minimumMinor: () => 1,
    charge: async (charge) => {
      if (!MEANS.includes(charge.token)) throw new ChargeRefused(UNKNOWN_MEANS)
      await sql`${insert(charge, clock())}
        on conflict (id) do update set attempt_id = excluded.attempt_id, means = excluded.means
          where manual_payments.status = 'awaited'`.execute(db)
      return retrieve(idOf(charge.objectKey))
    },
    capture: async () => {
      throw new CaptureRefused('Money that comes in by hand is not authorised before.')
    },
    retrieve,
    find: (paymentId) => read(sql`m.payment_id = ${paymentId}`),
    list: async function* ({ from, before }) {
      for (let after: { createdAt: Date; id: string } | undefined; ; ) {
        const next = after
          ? sql`(m.created_at, m.id) > (${after.createdAt}, ${after.id})`
          : sql`m.created_at >= ${from}`
        const { rows } = await sql<Row>`
          select ${SHOWN} from payments.manual_payments m where ${next} and m.created_at < ${before}
          order by m.created_at, m.id limit ${PAGE}`.execute(db)
        yield* rows.map(toPayment)
        const last = rows.at(-1)
        if (!last || rows.length < PAGE) return
        after = { createdAt: last.created_at, id: last.id }
      }
    },
    cancel: async (id) => {
      await sql`update payments.manual_payments set status = 'cancelled' where id = ${id} and status = 'awaited'`.execute(
        db,
      )
      return retrieve(id)
    },
    refund: async ({ refundId, providerPaymentId, amount }) => {
      await sql`
        with refunded as (
          update payments.manual_payments m set refunded_minor = refunded_minor + ${amount.amountMinor}::bigint
          where id = ${providerPaymentId} and status = 'received' and currency = ${amount.currency}
            and refunded_minor + ${amount.amountMinor}::bigint <= amount_minor
            and not exists (select 1 from payments.manual_refunds r where r.id = ${refundId})
          returning id
        )
        insert into payments.manual_refunds (id, manual_id, amount_minor, created_at)
        select ${refundId}, id, ${amount.amountMinor}::bigint, ${clock()} from refunded`
        .execute(db)
        .catch((error: unknown) => {
          // Its twin was faster, and has made it: all of this statement is undone.
          if (!isUniqueViolation(error)) throw error
        })
      const made = (await retrieve(providerPaymentId)).refunds.find(({ id }) => id === refundId)
      if (!made) throw new RefundRefused('More than was received cannot go back.')
      return made
    },
    readWebhook: () => undefined,
    close: async () => {},
  }
}

const UNKNOWN_MEANS = {
  code: 'invalid-token',
  message: `The token must be ${MEANS.join(', ')}.`,
  retryable: true,
}

const idOf = (objectKey: string): string => `manual_${objectKey}`

const insert = ({ objectKey, paymentId, attemptId, token, amount }: Charge, now: Date) => sql`
  insert into payments.manual_payments (id, payment_id, attempt_id, means, status, amount_minor, currency, created_at)
  values (${idOf(objectKey)}, ${paymentId}, ${attemptId}, ${token}, 'awaited', ${amount.amountMinor},
    ${amount.currency}, ${now})`

/** Notes money as received in the caller's transaction, once; also what nobody had announced, or had been cancelled. */
export const receiveManually =
  ({ seal }: Encryption) =>
  async (work: Work, payment: Payment, objectKey: string, receipt: Receipt): Promise<ProviderPayment | undefined> => {
    const id = payment.providerPaymentId ?? idOf(objectKey)
    const { amountMinor, currency } = receipt.amount
    const place = { table: 'payments.manual_payments', column: 'reference', row: id }
    const reference = receipt.reference === undefined ? null : seal(receipt.reference, place)
    const { rows } = await sql<Row>`
      insert into payments.manual_payments as m (id, payment_id, means, status, amount_minor, currency, reference,
        received_at, recorded_by, created_at)
      values (${id}, ${payment.id}, 'bank-transfer', 'received', ${amountMinor}, ${currency}, ${reference},
        ${receipt.receivedAt ?? work.now}, ${actorIdOf(work.actor)}, ${work.now})
      on conflict (id) do update set status = 'received', reference = excluded.reference,
        received_at = excluded.received_at, recorded_by = excluded.recorded_by
      where m.status <> 'received'
      returning ${SHOWN}`.execute(work.tx)
    return rows[0] && toPayment(rows[0])
  }

const STATUS = { awaited: 'processing', received: 'succeeded', cancelled: 'cancelled' } as const

const toPayment = (row: Row): ProviderPayment => ({
  provider: MANUAL,
  id: row.id,
  reference: row.payment_id,
  attemptId: row.attempt_id,
  status: STATUS[row.status],
  amount: { amountMinor: row.amount_minor, currency: row.currency },
  takenMinor: row.status === 'received' ? row.amount_minor : 0,
  refunds: row.refunds.map(toRefund),
  disputes: [],
  authorisedUntil: null,
  redirectUrl: null,
  clientSecret: null,
  decline: null,
})

const toRefund = ({ id, amountMinor }: Row['refunds'][number]): ProviderRefund => ({
  id,
  refundId: id,
  amountMinor,
  status: 'succeeded',
})
