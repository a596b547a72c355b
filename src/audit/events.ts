import { sql } from 'kysely'
import type { Oracle, Violation } from './oracle.ts'

export type Consumers = readonly { readonly type: string; readonly name: string }[]

/** Events are forgotten after 30 days (platform/messaging/dead-letters.ts): what is older cannot be held against them. */
const remembered = (before: Date): Date => new Date(before.getTime() - 29 * 24 * 60 * 60_000)

/** O8, O9: every change has its event, every event was published and seen once by everyone who asked for it. */
export const eventOracles = (consumers: Consumers): readonly Oracle[] => [
  {
    id: 'O8',
    claim: 'Every change of an order has its event, and every event its change',
    violations: ({ before }) => sql<Violation>`
      with changes as (
        select order_id as subject, 'orders.placed.v1' as type, at from orders.timeline where to_status is not null and from_status is null
        union all
        select order_id, 'orders.' || to_status || '.v1', at from orders.timeline where to_status <> 'pending'
        union all
        select order_id, 'orders.' || kind || '.v1', at from orders.timeline where to_status is null and kind in ('shipped', 'returned')
      ), told as (
        select subject, type, occurred_at as at from platform.events
        where type in ('orders.placed.v1', 'orders.paid.v1', 'orders.expired.v1', 'orders.cancelled.v1',
          'orders.shipped.v1', 'orders.delivered.v1', 'orders.returned.v1')
      )
      select subject, format('%s at %s: %s', type, at, case when t.here is null then 'no event' else 'no change' end) as detail
      from (select subject, type, at, true as here from changes) c
        full join (select subject, type, at, true as here from told) t using (subject, type, at)
      where (c.here is null or t.here is null) and at > ${remembered(before)}`,
  },
  {
    id: 'O8',
    claim: 'Every capture has its event, once',
    violations: ({ before }) => sql<Violation>`
      with captured as (
        select payment_id as subject, count(*) as times from payments.captures
        where not surplus and captured_at > ${remembered(before)} group by 1
      ), told as (
        select subject, count(*) as times from platform.events
        where type = 'payments.captured.v1' and occurred_at > ${remembered(before)} group by 1
      )
      select subject, format('%s captures, %s events', coalesce(c.times, 0), coalesce(t.times, 0)) as detail
      from captured c full join told t using (subject) where c.times is distinct from t.times`,
  },
  {
    id: 'O8',
    claim: 'Every event is published',
    violations: ({ before }) => sql<Violation>`
      select subject, format('%s %s since %s', type, id, occurred_at) as detail
      from platform.events where published_at is null and occurred_at < ${before}`,
  },
  {
    id: 'O8',
    claim: 'Every consumer saw every event that it asked for, or has it parked or on retry',
    violations: ({ before }) => sql<Violation>`
      with wanted as (
        select w.consumer, w.type from unnest(${consumers.map((one) => one.name)}::text[], ${consumers.map((one) => one.type)}::text[]) as w (consumer, type)
      )
      select e.subject, format('%s has not seen %s %s', w.consumer, e.type, e.id) as detail
      from wanted w join platform.events e using (type)
        left join platform.consumed c on c.consumer = w.consumer and c.event_id = e.id
        left join platform.deliveries d on d.consumer = w.consumer and d.event_id = e.id
      where e.published_at < ${before} and c.event_id is null and d.event_id is null`,
  },
  {
    id: 'O8',
    claim: 'No event is parked',
    violations: () => sql<Violation>`
      select e.subject, format('%s %s for %s: %s', e.type, e.id, d.consumer, d.last_error) as detail
      from platform.deliveries d join platform.events e on e.id = d.event_id where d.parked_at is not null`,
  },
  {
    id: 'O9',
    claim: 'An order was paid, and its stock committed, once at most',
    violations: () => sql<Violation>`
      select order_id as subject, format('paid %s times', count(*)) as detail
      from orders.timeline where to_status = 'paid' group by 1 having count(*) > 1
      union all
      select reference, format('%s: committed %s of %s', m.variant_id, sum(m.committed_change), max(h.quantity))
      from catalog.movements m join catalog.holds h using (reference, variant_id, location)
      where m.committed_change > 0 group by reference, m.variant_id, m.location having sum(m.committed_change) > max(h.quantity)`,
  },
]
