import { sql } from 'kysely'
import type { Oracle, Violation } from './oracle.ts'

/** O1, O2: what the stock counters say is what holds, movements and orders add up to, and nothing was sold twice. */
export const stockOracles: readonly Oracle[] = [
  {
    id: 'O1',
    claim: 'Held and committed stock are the sums of what orders hold',
    violations: () => sql<Violation>`
      with holds as (
        select variant_id, location, sum(held) as held, sum(committed) as committed from catalog.holds group by 1, 2
      )
      select variant_id || ' at ' || location as subject,
        format('held %s, in holds %s; committed %s, in holds %s', s.held, coalesce(h.held, 0), s.committed, coalesce(h.committed, 0)) as detail
      from catalog.stock s full join holds h using (variant_id, location)
      where coalesce(s.held, 0) <> coalesce(h.held, 0) or coalesce(s.committed, 0) <> coalesce(h.committed, 0)`,
  },
  {
    id: 'O1',
    claim: 'Every counter of stock is the sum of its movements',
    violations: () => sql<Violation>`
      with moved as (
        select variant_id, location, sum(on_hand_change) as on_hand, sum(held_change) as held, sum(committed_change) as committed
        from catalog.movements group by 1, 2
      )
      select variant_id || ' at ' || location as subject,
        format('on hand %s, moved %s; held %s, moved %s; committed %s, moved %s',
          s.on_hand, coalesce(m.on_hand, 0), s.held, coalesce(m.held, 0), s.committed, coalesce(m.committed, 0)) as detail
      from catalog.stock s full join moved m using (variant_id, location)
      where (coalesce(s.on_hand, 0), coalesce(s.held, 0), coalesce(s.committed, 0))
        is distinct from (coalesce(m.on_hand, 0), coalesce(m.held, 0), coalesce(m.committed, 0))`,
  },
  {
    id: 'O1',
    claim: 'Held + committed ≤ on hand, or a count explains the shortage',
    violations: () => sql<Violation>`
      select s.variant_id || ' at ' || s.location as subject,
        format('held %s + committed %s of %s on hand', s.held, s.committed, s.on_hand) as detail
      from catalog.stock s
      where s.on_hand < 0 or (s.tracked and not s.back_order and s.held + s.committed > s.on_hand and not exists (
        select from catalog.movements m
        where m.variant_id = s.variant_id and m.location = s.location and m.reason in ('adjustment', 'import')
          and m.shortage >= s.held + s.committed - s.on_hand))`,
  },
  {
    id: 'O1',
    claim: 'What each order holds is what it still has to pay for or to ship',
    violations: () => sql<Violation>`
      with owed as (
        select o.id, l.variant_id,
          sum(case when o.status = 'pending' then l.quantity - l.cancelled else 0 end) as held,
          sum(case when o.status in ('pending', 'expired', 'cancelled') then 0 when not l.requires_shipping and o.status = 'delivered' then 0
            else l.quantity - l.cancelled - l.shipped end) as committed
        from orders.orders o join orders.order_lines l on l.order_id = o.id group by 1, 2
      ), holds as (
        select reference as id, variant_id, sum(held) as held, sum(committed) as committed from catalog.holds group by 1, 2
      )
      select id as subject,
        format('%s: owes held %s and committed %s, holds %s and %s', variant_id, o.held, o.committed, h.held, h.committed) as detail
      from owed o full join holds h using (id, variant_id)
      where coalesce(o.held, 0) <> coalesce(h.held, 0) or coalesce(o.committed, 0) <> coalesce(h.committed, 0)`,
  },
  {
    id: 'O2',
    claim: 'No more units are sold than there ever were',
    violations: () => sql<Violation>`
      with sold as (
        select l.variant_id, sum(l.quantity - l.cancelled) as units
        from orders.orders o join orders.order_lines l on l.order_id = o.id
        where o.status not in ('expired', 'cancelled') group by 1
      ), supplied as (
        select variant_id, sum(on_hand_change) filter (where on_hand_change > 0) as units
        from catalog.movements group by 1
      ), limited as (
        select variant_id from catalog.stock group by 1 having bool_and(tracked and not back_order)
      )
      select s.variant_id as subject, format('%s sold of %s ever on hand', s.units, coalesce(p.units, 0)) as detail
      from sold s join limited using (variant_id) left join supplied p using (variant_id)
      where s.units > coalesce(p.units, 0)`,
  },
]
