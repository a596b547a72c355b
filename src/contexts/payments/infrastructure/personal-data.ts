import { sql } from 'kysely'
import type { OrderId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'

export type ForgetOrders = (work: Work, orders: readonly OrderId[]) => Promise<void>

/** What stands where staff's remarks about a person's money stood. */
const ERASED = 'erased'

/** Takes everything personal out of what is kept of these orders' payments; amounts, ids and the books stay as they are. */
export const forgetOrders: ForgetOrders = async ({ tx }, orders) => {
  await sql`
    with theirs as (select id, provider, provider_payment_id from payments.payments where order_id = any(${orders}::text[])),
    objects as (
      select provider, provider_payment_id from theirs
      union select c.provider, c.provider_payment_id from payments.captures c join theirs on theirs.id = c.payment_id
      union select v.provider, v.provider_payment_id from payments.reviews v join theirs on theirs.id = v.payment_id
    ),
    webhooks as (
      update payments.inbox i set sealed_body = null from objects o
      where i.provider = o.provider and i.provider_payment_id = o.provider_payment_id
    ),
    transfers as (update payments.manual_payments m set reference = null from theirs where m.payment_id = theirs.id)
    update payments.refunds r set reason = ${ERASED} from theirs
    where r.payment_id = theirs.id and r.requested_by is not null`.execute(tx)
}
