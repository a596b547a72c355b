import { Command } from 'commander'
import { type RawBuilder, sql } from 'kysely'
import pc from 'picocolors'
import type { Money } from '#kernel/money.ts'
import { toDecimal } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import type { App } from '../app.ts'
import { tell, withShop } from './connect.ts'
import { table } from './table.ts'

export const command = new Command('show')
  .description('all about one order: lines, holds, payment, attempts, webhooks, events, jobs, one timeline')
  .argument('<order>', 'its number, such as 1001, or its id')
  .option('--json', 'print JSON')
  .action((order: string, options: { json?: boolean }) =>
    withShop(async (app) => {
      const shown = await showOrder(app, order)
      if (shown) return console.log(options.json ? JSON.stringify(shown, null, 2) : report(shown))
      tell(`No order has the number or id ${order}.`)
      process.exitCode = 1
    }),
  )

/** One thing that happened to an order, wherever it was written down. */
type Happening = { at: string; where: string; what: string }
type Hold = {
  variantId: string
  location: string
  quantity: number
  held: number
  committed: number
  released: number
  shipped: number
  returned: number
}
type Attempt = { id: string; provider: string; status: string; declineCode: string | null; createdAt: string }
type Refund = { id: string; status: string; amountMinor: number; currency: string; reason: string }
type Webhook = { eventId: string; type: string; receivedAt: string; doneAt: string | null; lastError: string | null }
type Event = { id: number; type: string; occurredAt: string; publishedAt: string | null; failing: string | null }
type Job = { id: string; task: string; attempts: number; lastError: string | null }

export type Shown = NonNullable<Awaited<ReturnType<typeof showOrder>>>

/** Everything that is known of an order, by its number or id; undefined when there is none. It only reads. */
export async function showOrder(app: App, numberOrId: string) {
  const { db } = app.database
  const found = await app.contexts.orders.inspectOrder(db, numberOrId)
  if (!found) return undefined
  const { order, timeline } = found
  const paymentId = order.payment?.id ?? null
  const subjects = [order.id, ...(paymentId ? [paymentId] : [])]
  const [holds, attempts, refunds, webhooks, events, jobs, movements] = await Promise.all([
    holdsOf(db, order.id),
    attemptsOf(db, paymentId),
    refundsOf(db, paymentId),
    webhooksOf(db, paymentId),
    eventsOf(db, subjects),
    jobsOf(db, subjects),
    movementsOf(db, order.id),
  ])
  const happened: Happening[] = [
    ...timeline.data.map(({ at, kind, from, to, actor, note }) => {
      const step = to ? `${kind}${from ? ` (${from} → ${to})` : ''}` : kind
      return { at, where: 'order', what: `${step} by ${actor}${note ? `: ${note}` : ''}` }
    }),
    ...attempts.map((one) => ({ at: one.createdAt, where: 'attempt', what: `${one.provider}: ${one.status}` })),
    ...webhooks.map((one) => ({ at: one.receivedAt, where: 'webhook', what: one.type })),
    ...events.map((one) => ({ at: one.occurredAt, where: 'event', what: one.type })),
    ...movements,
  ]
  const { token: _, ...shown } = order
  return {
    order: shown,
    ...{ holds, attempts, refunds, webhooks, events, jobs },
    timeline: happened.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)),
  }
}

const read = async <Row>(db: Reader, query: RawBuilder<Row>): Promise<Row[]> =>
  JSON.parse(JSON.stringify((await query.execute(db)).rows))

const holdsOf = (db: Reader, orderId: string) =>
  read(
    db,
    sql<Hold>`
    select variant_id as "variantId", location, quantity, held, committed, released, shipped, returned
    from catalog.holds where reference = ${orderId} order by variant_id, location`,
  )

const movementsOf = (db: Reader, orderId: string) =>
  read(
    db,
    sql<Happening>`
    select occurred_at as at, 'stock' as "where", format('%s %s: held %s, committed %s, on hand %s', reason, variant_id,
      to_char(held_change, 'SG9990'), to_char(committed_change, 'SG9990'), to_char(on_hand_change, 'SG9990')) as what
    from catalog.movements where reference = ${orderId} order by id`,
  )

const attemptsOf = (db: Reader, paymentId: string | null) =>
  read(
    db,
    sql<Attempt>`
    select id, provider, status, decline_code as "declineCode", created_at as "createdAt"
    from payments.attempts where payment_id = ${paymentId} order by id`,
  )

const refundsOf = (db: Reader, paymentId: string | null) =>
  read(
    db,
    sql<Refund>`
    select id, status, amount_minor as "amountMinor", currency, reason
    from payments.refunds where payment_id = ${paymentId} order by id`,
  )

const webhooksOf = (db: Reader, paymentId: string | null) =>
  read(
    db,
    sql<Webhook>`
    select i.event_id as "eventId", i.type, i.received_at as "receivedAt", i.done_at as "doneAt", i.last_error as "lastError"
    from payments.inbox i join payments.payments p
      on p.provider = i.provider and p.provider_payment_id = i.provider_payment_id
    where p.id = ${paymentId} order by i.id`,
  )

const eventsOf = (db: Reader, subjects: readonly string[]) =>
  read(
    db,
    sql<Event>`
    select e.id, e.type, e.occurred_at as "occurredAt", e.published_at as "publishedAt",
      (select string_agg(d.consumer || ': ' || d.last_error, '; ') from platform.deliveries d where d.event_id = e.id) as failing
    from platform.events e where e.subject = any(${subjects}::text[]) order by e.id`,
  )

/** Jobs that name the order or its payment. */
const jobsOf = (db: Reader, subjects: readonly string[]) =>
  read(
    db,
    sql<Job>`
    select j.id::text, t.identifier as task, j.attempts, j.last_error as "lastError"
    from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id
    where exists (select from unnest(${subjects}::text[]) as s where strpos(j.payload::text, s) > 0) order by j.id`,
  )

const amount = (money: Money): string => `${toDecimal(money)} ${money.currency}`

/** What was read, for people. */
export function report({ order, holds, attempts, refunds, webhooks, events, jobs, timeline }: Shown): string {
  const block = (title: string, head: string[], rows: readonly (readonly (string | number)[])[]) =>
    rows.length === 0 ? [] : [`${pc.bold(title)}\n${table([head.map((cell) => pc.dim(cell)), ...rows])}`]
  const states = `${order.status} · payment ${order.paymentStatus} · fulfilment ${order.fulfilment} · return ${order.return}`
  return [
    `${pc.bold(`Order ${order.number}`)}  ${order.id}\n${states}\n${order.email} · placed ${order.placedAt}${order.holdUntil ? ` · held until ${order.holdUntil}` : ''}`,
    ...block(
      'Lines',
      ['title', 'SKU', 'units', 'cancelled', 'shipped', 'returned', 'each', 'total', 'tax'],
      order.items.map((line) => [
        ...[line.title, line.sku ?? '–', line.quantity, line.cancelled, line.shipped, line.returned],
        ...[amount(line.unitPrice), amount(line.total), amount(line.tax)],
      ]),
    ),
    `subtotal ${amount(order.subtotal)} − ${amount(order.discount)} · shipping ${amount(order.shipping)} · tax ${amount(order.tax)}${order.taxIncluded ? ' included' : ''} · ${pc.bold(`total ${amount(order.total)}`)}`,
    ...block(
      'Holds',
      ['variant', 'location', 'units', 'held', 'committed', 'released', 'shipped', 'returned'],
      holds.map((hold) => Object.values(hold)),
    ),
    ...(order.payment
      ? [`${pc.bold('Payment')}  ${order.payment.id}  ${order.payment.status}  ${amount(order.payment.amount)}`]
      : []),
    ...block(
      'Attempts',
      ['attempt', 'provider', 'status', 'at'],
      attempts.map((one) => [
        one.id,
        one.provider,
        one.declineCode ? `${one.status} (${one.declineCode})` : one.status,
        one.createdAt,
      ]),
    ),
    ...block(
      'Refunds',
      ['refund', 'status', 'amount', 'reason'],
      refunds.map(({ id, status, reason, ...money }) => [id, status, amount(money), reason]),
    ),
    ...block(
      'Webhooks',
      ['event', 'type', 'received', 'done', 'error'],
      webhooks.map((one) => [one.eventId, one.type, one.receivedAt, one.doneAt ?? 'not yet', one.lastError ?? '']),
    ),
    ...block(
      'Events',
      ['event', 'type', 'published', 'failing'],
      events.map((one) => [one.id, one.type, one.publishedAt ?? 'not yet', one.failing ?? '']),
    ),
    ...block(
      'Jobs',
      ['job', 'task', 'tries', 'error'],
      jobs.map((job) => [job.id, job.task, job.attempts, job.lastError ?? '']),
    ),
    ...block(
      'Timeline',
      ['at', 'where', 'what'],
      timeline.map((one) => [one.at, one.where, one.what]),
    ),
  ].join('\n\n')
}
