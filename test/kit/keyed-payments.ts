import { sql } from 'kysely'
import type { Buying, Placed } from '../contexts/orders/buying.ts'
import { payUnheard, tellOf } from '../contexts/orders/unheard.ts'
import type { Keyed } from './keyed.ts'

type Makers = {
  staff(ids: (string | number)[], body?: object, other?: object): Promise<Keyed>
  authorised(): Promise<Placed>
  paid(): Promise<Placed>
}

const usd = (amountMinor: number) => ({ amountMinor, currency: 'USD' })

/** What moves money, or does again what was not heard: a part of `keyedRequests`. */
export function keyedPayments(
  buying: Buying,
  { staff, authorised, paid }: Makers,
): Readonly<Record<string, () => Promise<Keyed>>> {
  return {
    attemptPayment: async () => {
      const { body, headers } = await buying.anOrder()
      const by = (token: string) => ({ method: 'sandbox', token })
      return { ids: [body.payment.id], as: headers, body: by('tok_ok'), other: by('tok_declined') }
    },
    replayPaymentWebhook: async () => {
      const [row] = await buying.rows(sql<{ id: string }>`
        insert into payments.inbox (provider, event_id, type, provider_payment_id, claims_capture, received_at, done_at)
        select provider, gen_random_uuid()::text, 'payment.succeeded', provider_payment_id, false, ${buying.shop.clock.now}, ${buying.shop.clock.now}
        from payments.payments where id = ${(await paid()).body.payment.id} returning id`)
      return staff([Number(row?.id)])
    },
    replayDeadLetter: async () => {
      const [row] = await buying.rows(sql<{ id: string }>`
        insert into platform.deliveries (consumer, event_id, attempts, last_error, parked_at)
        select 'orders.write-mail', id, 8, 'No mail server', ${buying.shop.clock.now} from platform.events
        where subject = ${(await paid()).id} and type = 'orders.paid.v1' returning event_id as id`)
      return staff([`${row?.id}:orders.write-mail`])
    },
    reviewPayment: async () => {
      const order = await buying.anOrder()
      await tellOf(buying, await payUnheard(buying, order, 100))
      await buying.shop.app.settle()
      const decided = (decision: string) => ({ decision, reason: 'Looked at it' })
      return staff([order.body.payment.id], decided('refund'), decided('dismiss'))
    },
    capturePayment: async () =>
      staff([(await authorised()).body.payment.id], { amount: usd(900) }, { amount: usd(800) }),
    refundPayment: async () => {
      const back = (amountMinor: number) => ({ amount: usd(amountMinor), reason: 'Scratched' })
      return staff([(await paid()).body.payment.id], back(300), back(200))
    },
    recordReceipt: async () => {
      const { body } = await buying.anOrder()
      return staff([body.payment.id], { amount: body.total }, { amount: body.total, reference: 'Ann' })
    },
  }
}
