import { sql } from 'kysely'
import type { Oracle, Violation } from './oracle.ts'

/** O4, O6, O7: money is conserved, taken once, and never taken for nothing. */
export const moneyOracles: readonly Oracle[] = [
  {
    id: 'O4',
    claim: 'Per payment: refunds ≤ captures ≤ what is owed or was asked for, and the sums are those of the rows',
    violations: () => sql<Violation>`
      with captured as (
        select payment_id, sum(amount_minor) as minor from payments.captures where not surplus group by 1
      ), refunded as (
        select payment_id, sum(amount_minor) filter (where status = 'succeeded') as minor,
          sum(amount_minor) filter (where status = 'pending') as pending
        from payments.refunds where not surplus group by 1
      )
      select p.id as subject, format('owed %s, captured %s (rows %s), refunded %s (rows %s), refunding %s (rows %s)',
        p.amount_minor, p.captured_minor, coalesce(c.minor, 0), p.refunded_minor, coalesce(r.minor, 0), p.refunding_minor, coalesce(r.pending, 0)) as detail
      from payments.payments p
        left join captured c on c.payment_id = p.id left join refunded r on r.payment_id = p.id
      where p.captured_minor <> coalesce(c.minor, 0) or p.refunded_minor <> coalesce(r.minor, 0)
        or p.refunding_minor <> coalesce(r.pending, 0)
        or p.captured_minor > coalesce(p.capture_minor, p.amount_minor) or p.refunded_minor + p.refunding_minor > p.captured_minor`,
  },
  {
    id: 'O4',
    claim: 'The ledger balances per payment and currency with captures, refunds and disputes',
    violations: () => sql<Violation>`
      with booked as (
        select payment_id, currency, sum(case kind when 'capture' then amount_minor else 0 end) as captured,
          sum(case kind when 'refund' then amount_minor when 'refund-failed' then -amount_minor else 0 end) as refunded,
          sum(case kind when 'dispute' then amount_minor when 'dispute-won' then -amount_minor else 0 end) as disputed,
          sum(case kind when 'dispute-lost' then amount_minor else 0 end) as lost
        from payments.ledger group by 1, 2
      ), happened as (
        select payment_id, currency, sum(captured) as captured, sum(refunded) as refunded, sum(disputed) as disputed,
          sum(lost) as lost
        from (
          select payment_id, currency, amount_minor as captured, 0 as refunded, 0 as disputed, 0 as lost
          from payments.captures
          union all
          select payment_id, currency, 0, amount_minor, 0, 0 from payments.refunds where status = 'succeeded'
          union all
          select payment_id, currency, 0, 0, case when status = 'won' then 0 else amount_minor end,
            case when status = 'lost' then amount_minor else 0 end
          from payments.disputes
        ) as rows group by 1, 2
      )
      select payment_id as subject,
        format('%s: ledger +%s −%s, disputed %s, lost %s; rows +%s −%s, disputed %s, lost %s', currency,
          b.captured, b.refunded, b.disputed, b.lost, h.captured, h.refunded, h.disputed, h.lost) as detail
      from booked b full join happened h using (payment_id, currency)
      where (b.captured, b.refunded, b.disputed, b.lost) is distinct from (h.captured, h.refunded, h.disputed, h.lost)`,
  },
  {
    id: 'O4',
    claim: 'What lines and shipping count as refunded is what refunds of them took, and nothing of one that failed',
    violations: ({ before }) => sql<Violation>`
      with taken as (
        select order_id, coalesce(item_id, 'shipping') as item, sum(quantity) as units, sum(amount_minor) as minor
        from orders.refund_lines where failed_at is null group by 1, 2
      ), counted as (
        select order_id, id as item, refunded_units as units, refunded_minor as minor
        from orders.order_lines where refunded_units > 0 or refunded_minor > 0
        union all
        select id, 'shipping', 0, shipping_refunded_minor from orders.orders where shipping_refunded_minor > 0
      ), refunds as (
        select refund_id, sum(amount_minor) as minor, bool_or(failed_at is not null) as failed
        from orders.refund_lines group by 1
      )
      select order_id as subject, format('%s: %s units and %s counted, refunds of %s and %s', item,
        coalesce(c.units, 0), coalesce(c.minor, 0), coalesce(t.units, 0), coalesce(t.minor, 0)) as detail
      from counted c full join taken t using (order_id, item)
      where (coalesce(c.units, 0), coalesce(c.minor, 0)) <> (coalesce(t.units, 0), coalesce(t.minor, 0))
      union all
      select l.refund_id, format('lines of %s, failed %s; the refund is %s of %s', l.minor, l.failed, coalesce(r.status, 'missing'), r.amount_minor)
      from refunds l left join payments.refunds r on r.id = l.refund_id
      where r.id is null or r.amount_minor <> l.minor
        or ((r.status = 'failed') <> l.failed and coalesce(r.ended_at, r.created_at) < ${before})`,
  },
  {
    id: 'O6',
    claim: 'One cart has at most one living order',
    violations: () => sql<Violation>`
      select cart_id as subject, format('%s orders: %s', count(*), string_agg(number, ', ')) as detail
      from orders.orders where status not in ('expired', 'cancelled') group by cart_id having count(*) > 1`,
  },
  {
    id: 'O6',
    claim: 'One order has at most one payment by a provider; a second one went back',
    violations: () => sql<Violation>`
      select c.payment_id as subject,
        format('%s captures, %s of them not given back', count(*), count(*) filter (where not c.surplus or r.id is null)) as detail
      from payments.captures c
        left join payments.refunds r on c.surplus and r.surplus and r.provider = c.provider and r.provider_payment_id = c.provider_payment_id
          and r.status <> 'failed'
      group by c.payment_id having count(*) filter (where not c.surplus or r.id is null) > 1`,
  },
  {
    id: 'O7',
    claim: 'Money taken ends in a paid order, goes back, or waits for a person as its refund failed',
    violations: ({ before }) => sql<Violation>`
      select p.id as subject, format('captured %s %s, refunded %s, order %s is %s',
        p.captured_minor, p.currency, p.refunded_minor + p.refunding_minor, p.order_id, coalesce(o.status, 'missing')) as detail
      from payments.payments p left join orders.orders o on o.id = p.order_id
      where p.captured_minor > 0
        and exists (select from payments.captures c where c.payment_id = p.id and c.captured_at < ${before})
        and coalesce(o.status, 'missing') not in ('paid', 'shipped', 'delivered', 'returned')
        and p.status not in ('disputed', 'lost')
        and p.captured_minor - p.refunded_minor - p.refunding_minor > coalesce((
          select sum(r.amount_minor) from payments.refunds r
          where r.payment_id = p.id and r.status = 'failed' and not r.surplus), 0)
        and p.refunded_minor + p.refunding_minor < p.captured_minor`,
  },
  {
    id: 'O7',
    claim: 'Money that is not of its payment goes back',
    violations: () => sql<Violation>`
      select c.payment_id as subject, format('%s took %s %s beside the payment, and no refund of it', c.provider_payment_id, c.amount_minor, c.currency) as detail
      from payments.captures c where c.surplus and not exists (
        select from payments.refunds r where r.surplus and r.provider = c.provider
          and r.provider_payment_id = c.provider_payment_id and r.status <> 'failed')`,
  },
  {
    id: 'O7',
    claim: 'A paid order has its money',
    violations: ({ before }) => sql<Violation>`
      select o.id as subject, format('%s is %s, payment %s has captured %s of %s', o.number, o.status, coalesce(o.payment_id, 'none'), coalesce(p.captured_minor, 0), o.total_minor) as detail
      from orders.orders o left join payments.payments p on p.id = o.payment_id
      where o.status in ('paid', 'shipped', 'delivered', 'returned') and o.updated_at < ${before}
        and o.total_minor > 0 and coalesce(p.captured_minor, 0) <> coalesce(p.capture_minor, o.total_minor)`,
  },
]
