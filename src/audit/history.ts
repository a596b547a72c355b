import { sql } from 'kysely'
import type { Oracle, Violation } from './oracle.ts'

/** The legal steps of an order's headline status, written down once more by the witness: it does not ask the accused. */
const STEPS = (
  'start>pending start>paid start>delivered pending>paid pending>expired pending>cancelled expired>paid ' +
  'expired>cancelled paid>cancelled paid>shipped paid>delivered shipped>delivered shipped>returned delivered>returned'
)
  .split(' ')
  .map((step) => step.split('>'))

/** O10, O12, O15: what happened is a legal history, nothing is stuck, and staff left their traces. */
export const historyOracles: readonly Oracle[] = [
  {
    id: 'O10',
    claim: 'No attempt, capture, refund or webhook is under way past its time',
    violations: ({ before }) => sql<Violation>`
      select id as subject, format('attempt %s since %s', status, created_at) as detail from payments.attempts where lease_until < ${before}
      union all
      select id, format('refund pending since %s: %s', created_at, last_error) from payments.refunds where lease_until < ${before}
      union all
      select id, format('capture pending since %s: %s', created_at, last_error) from payments.capture_requests where lease_until < ${before}
      union all
      select event_id, format('webhook %s received %s: %s', type, received_at, last_error) from payments.inbox where due_at < ${before}`,
  },
  {
    id: 'O12',
    claim: "Every order's history is a path of the state machine and ends in its status",
    violations: () => sql<Violation>`
      with steps as (
        select order_id, id, coalesce(from_status, 'start') as came_from, to_status as went_to,
          coalesce(lag(to_status) over (partition by order_id order by id), 'start') as was,
          row_number() over (partition by order_id order by id desc) = 1 as last
        from orders.timeline where to_status is not null
      ), legal as (
        select l.came_from, l.went_to from unnest(${STEPS.map(([from]) => from)}::text[], ${STEPS.map(([, to]) => to)}::text[]) as l (came_from, went_to)
      )
      select s.order_id as subject, format('%s → %s after %s', s.came_from, s.went_to, s.was) as detail
      from steps s left join legal l using (came_from, went_to) where s.was <> s.came_from or l.went_to is null
      union all
      select o.id, format('is %s, its history ends in %s', o.status, coalesce(s.went_to, 'nothing'))
      from orders.orders o left join steps s on s.order_id = o.id and s.last where o.status is distinct from s.went_to`,
  },
  {
    id: 'O15',
    claim: 'Every staff change of stock and money has an audit row with actor and time',
    violations: () => sql<Violation>`
      select variant_id as subject, format('movement %s by %s at %s', m.id, m.actor_id, m.occurred_at) as detail
      from catalog.movements m
      where m.actor_id is not null and m.reason in ('adjustment', 'opening') and not exists (
        select from platform.audit_log a where a.actor_id = m.actor_id and a.occurred_at = m.occurred_at)
      union all
      select r.id, format('refund by %s at %s', r.requested_by, r.created_at) from payments.refunds r
      where r.requested_by is not null and not exists (
        select from platform.audit_log a where a.actor_id = r.requested_by and a.occurred_at = r.created_at)
      union all
      select subject, format('audit row %s (%s) tells neither before nor after', id, action)
      from platform.audit_log where before is null and after is null`,
  },
]
