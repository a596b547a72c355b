import { messageIdOf, readSender } from '#platform/mail/mail.ts'
import type { Finding } from '../../src/audit/audit.ts'
import type { Line } from './buyer.ts'
import type { Cluster } from './processes.ts'
import type { Smtp } from './smtp.ts'

export type OrderRow = {
  readonly id: string
  readonly cartId: string
  readonly status: string
  readonly totalMinor: number
  readonly lines: readonly Line[]
  /** Units that were ever held for it. */
  readonly heldUnits: number
  readonly paymentIds: readonly string[]
  readonly placedEvents: number
}

export type PaymentRow = {
  readonly id: string
  readonly status: string
  readonly capturedMinor: number
  /** By the ledger, money beside the payment's own included. */
  readonly bookedMinor: number
  readonly returnedMinor: number
  /** Whether money was once held for it, to be captured later. */
  readonly wasAuthorised: boolean
}

export type RefundRow = {
  readonly id: string
  readonly paymentId: string
  readonly amountMinor: number
  readonly status: string
  readonly byStaff: boolean
}

/** What our database says. */
export type Books = {
  readonly orders: readonly OrderRow[]
  readonly payments: readonly PaymentRow[]
  readonly refunds: readonly RefundRow[]
  /** Work that failed until nobody tries it any more, in words. */
  readonly givenUp: readonly string[]
}

/** An object at a payment provider, in its own books: captured, and given back for good. */
export type Taken = { readonly paymentId: string; readonly captured: number; readonly refunded: number }

/** What a consumer does outside because of an event, such as a mail. */
export type Effect = { readonly consumer: string; readonly event: string }

type Query = (text: string) => Promise<any[]>

/** Reads the books of a shop at rest. */
export async function readBooks(query: Query): Promise<Books> {
  const givenUp = await query(GIVEN_UP)
  return {
    orders: await query(ORDERS),
    payments: await query(PAYMENTS),
    refunds: await query(REFUNDS),
    givenUp: givenUp.map(({ text }) => text),
  }
}

const ORDERS = `
  select o.id, o.cart_id as "cartId", o.status, o.total_minor::float8 as "totalMinor",
    (select coalesce(json_agg(json_build_object('variantId', l.variant_id, 'quantity', l.quantity)), '[]')
      from orders.order_lines l where l.order_id = o.id) as lines,
    (select coalesce(sum(m.held_change), 0)::int from catalog.movements m
      where m.reference = o.id and m.reason = 'held') as "heldUnits",
    array(select p.id from payments.payments p where p.order_id = o.id) as "paymentIds",
    (select count(*)::int from platform.events e
      where e.subject = o.id and e.type = 'orders.placed.v1') as "placedEvents"
  from orders.orders o`

const PAYMENTS = `
  select p.id, p.status, p.captured_minor::float8 as "capturedMinor",
    coalesce(sum(l.amount_minor) filter (where l.kind = 'capture'), 0)::float8 as "bookedMinor",
    coalesce(sum(case l.kind when 'refund' then l.amount_minor when 'refund-failed' then -l.amount_minor end), 0)::float8
      as "returnedMinor",
    exists (select from platform.events e where e.subject = p.id and e.type = 'payments.authorised.v1') as "wasAuthorised"
  from payments.payments p left join payments.ledger l on l.payment_id = p.id group by p.id`

const REFUNDS = `
  select id, payment_id as "paymentId", amount_minor::float8 as "amountMinor", status, requested_by is not null as "byStaff"
  from payments.refunds`

const GIVEN_UP = `
  select format('job %s was given up: %s', task_identifier, last_error) as text
  from graphile_worker.jobs where attempts >= max_attempts`

/** What the sandbox provider holds. */
export async function readSandbox(cluster: { sandboxUrl: string; sandboxKey: string }): Promise<Taken[]> {
  const taken: Taken[] = []
  for (let after = ''; ; ) {
    const response = await fetch(`${cluster.sandboxUrl}/v1/payments?createdFrom=&after=${after}`, {
      headers: { authorization: `Bearer ${cluster.sandboxKey}` },
    })
    const { data } = (await response.json()) as { data: any[] }
    for (const { reference, amountCaptured, refunds } of data) {
      const given = refunds.filter(({ status }: { status: string }) => status === 'succeeded')
      const refunded = given.reduce((sum: number, { amount }: { amount: number }) => sum + amount, 0)
      taken.push({ paymentId: reference, captured: amountCaptured, refunded })
    }
    const last = data.at(-1)?.id
    if (last === undefined) return taken
    after = last
  }
}

/** What `stoa audit` finds wrong with a shop at rest. */
export async function audited({ stoa }: Pick<Cluster, 'stoa'>): Promise<string[]> {
  const { code, output } = await stoa('audit', '--all', '--json')
  if (code === 0) return []
  const findings = JSON.parse(output.slice(output.indexOf('['))) as Finding[]
  return findings.flatMap(({ id, violations }) =>
    violations.map(({ subject, detail }) => `${id} ${subject}: ${detail}`),
  )
}

const FROM = readSender('Stoa <shop@example.com>')

/** The environment of a shop that sends its mails to this server. */
export const mailingTo = ({ url }: Smtp) => ({ SMTP_URL: url, MAIL_FROM: 'Stoa <shop@example.com>' })

/** The mails that went over the wire, each copy. */
const mailsSent = ({ received }: Smtp): Effect[] =>
  received.map(({ headers }) => ({ consumer: 'mail', event: headers['message-id'] ?? headers.subject ?? '' }))

/** Mails that a process sends at the same time, and can die of before it has noted any. */
const SENT_TOGETHER = 4

/** The mails of a shop in which something broke so often, once each; a violation when more copies came than that explains. */
export function mailsOnce(smtp: Smtp, broken: number): { readonly mails: Effect[]; readonly violations: string[] } {
  const sent = mailsSent(smtp)
  const mails = [...new Map(sent.map((mail) => [mail.event, mail])).values()]
  const copies = sent.length - mails.length
  const most = broken * SENT_TOGETHER
  return { mails, violations: copies > most ? [`${copies} mails were sent again, where ${most} may be`] : [] }
}

/** The mails that must have gone over the wire once: of each order that was paid, and all that are written down as sent. */
export async function mailsDue(query: Query): Promise<Effect[]> {
  const due = await query(MAILS)
  return due.map(({ key }) => ({ consumer: 'mail', event: messageIdOf(key, FROM) }))
}

const MAILS = `
  select format('orders:%s:paid', e.id) as key from platform.events e
  where e.type = 'orders.paid.v1' and (e.data ->> 'totalMinor')::bigint > 0
  union
  select format('orders:%s:%s', m.event_id, case e.type when 'payments.declined.v1' then 'payment-failed'
    when 'payments.surplus-refunded.v1' then 'paid-twice' else split_part(e.type, '.', 2) end)
  from orders.mails m join platform.events e on e.id = m.event_id where m.sent_at is not null`
