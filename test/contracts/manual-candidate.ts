import { sql } from 'kysely'
import { CallFailed } from '#platform/resilience/http-client.ts'
import type { Charge, PaymentProvider } from '../../src/contexts/payments/application/payment-provider.ts'
import { makeManualProvider } from '../../src/contexts/payments/infrastructure/manual-provider.ts'
import { testShop } from '../kit/shop.ts'
import type { Candidate } from './payment-candidates.ts'

/** Bank transfer, invoice and cash: nothing between us and it, so nothing that could be declined, approved or late. */
export async function manual(): Promise<Candidate> {
  const shop = await testShop({ PAYMENT_PROVIDERS: 'manual' })
  const { db } = shop.app.database
  const provider = makeManualProvider(db, () => shop.clock.now, 7)

  /** A charge is of a payment that we have. */
  const isOwed = ({ paymentId, orderId, amount }: Charge) =>
    sql`
      insert into payments.payments
        (id, order_id, order_number, token_version, amount_minor, currency, payable_until, opened_at)
      values (${paymentId}, ${orderId}, ${paymentId}, 1, ${amount.amountMinor}, ${amount.currency}, now(), now())
      on conflict do nothing`.execute(db)
  const charging: PaymentProvider = {
    ...provider,
    charge: async (charge) => {
      await isOwed(charge)
      return provider.charge(charge)
    },
  }
  return {
    provider: charging,
    stranger: charging,
    lacks: ['declines', 'approval', 'network', 'webhooks'],
    tokens: {
      ok: 'bank-transfer',
      processing: 'invoice',
      invalid: 'gold',
      declined: 'cash',
      requiresAction: 'cash',
    },
    failing: () => {
      throw new CallFailed('There is nothing between us and it.', true)
    },
    receive: async ({ id }) => {
      await sql`update payments.manual_payments set status = 'received', received_at = now()
        where id = ${id} and status = 'awaited'`.execute(db)
      return provider.retrieve(id)
    },
    witness: async (reference) => {
      const { rows } = await sql<{ objects: number; captured: number; refunded: number }>`
        select count(*)::int as objects,
          coalesce(sum(amount_minor) filter (where status = 'received'), 0)::int as captured,
          coalesce(sum((select sum(r.amount_minor) from payments.manual_refunds r where r.manual_id = m.id)), 0)::int as refunded
        from payments.manual_payments m where payment_id = ${reference}`.execute(db)
      return rows[0] ?? { objects: 0, captured: 0, refunded: 0 }
    },
    inbox: undefined as never,
    act: async () => {},
    close: shop.close,
  }
}
