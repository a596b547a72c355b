import { minutesAfter } from '#kernel/clock.ts'
import type { OrderId, ShipmentId } from '#kernel/ids.ts'
import { type Money, money } from '#kernel/money.ts'
import type { Reaction, Reader, Single, StoredEvent } from '#platform/db/work.ts'
import type { NewJob } from '#platform/jobs/queue.ts'
import type { Mail, Mailer } from '#platform/mail/mail.ts'
import { ERASED_EMAIL, type Order, type OrderStatus, type Unfulfillable } from '../domain/order.ts'
import type { Shipment } from './ship-order.ts'

/** The events that buyers are told of, and as what. A dispute is between the shop and a bank: nobody is told of it. */
export const ORDER_MAILS = {
  'orders.placed.v1': 'placed',
  'orders.paid.v1': 'paid',
  'orders.shipped.v1': 'shipped',
  'orders.cancelled.v1': 'cancelled',
  'orders.refunded.v1': 'refunded',
  'orders.unfulfillable.v1': 'unfulfillable',
  'payments.declined.v1': 'payment-failed',
  'payments.surplus-refunded.v1': 'paid-twice',
} as const
export type OrderMailKind = (typeof ORDER_MAILS)[keyof typeof ORDER_MAILS]

/** One mail to write: ids, amounts and words of ours. */
export type OrderMailJob = {
  readonly eventId: number
  readonly kind: OrderMailKind
  readonly orderId: OrderId
  /** Money that came or went back; else the order's total. */
  readonly amountMinor?: number
  readonly shipmentId?: ShipmentId
  /** Whether nothing of the order is left to be shipped. */
  readonly complete?: boolean
  /** The status that an order was cancelled in. */
  readonly from?: OrderStatus
  readonly why?: Unfulfillable
}

/** What a mail is written of. `parcel` is what was shipped, `link` leads to the order in the shop front. */
export type Telling = {
  readonly order: Order
  readonly job: OrderMailJob
  /** The money that it is about. */
  readonly amount: Money
  readonly parcel: Shipment | undefined
  /** Null while nobody has paid: until then whoever ordered may have given a stranger's address, and chooses no word. */
  readonly name: string | null
  /** The order's token, for guests. */
  readonly token: string | null
}
export type WriteOrderMail = (telling: Telling) => Omit<Mail, 'key' | 'to'>

/** One row of the record of mails. `about`: there is one mail of it, or one in `QUIET_MINUTES`. */
export type MailRecord = { readonly orderId: OrderId; readonly about: string; readonly eventId: number }

export type SendOrderMailNeeds = {
  readonly mail: Mailer
  findOrder(db: Reader, id: OrderId): Promise<Order | undefined>
  findShipment(db: Reader, id: ShipmentId): Promise<Shipment | undefined>
  /** The token that a guest reads their order with. */
  orderToken(order: Order): string
  /** Whether this address may be sent one more mail about an order that nobody has paid. */
  mayGetMail(email: string): Promise<boolean>
  /**
   * Leases a mail until then: `told` when it was sent, or another of its kind was since `quietSince`; `busy` while
   * somebody else is at it.
   */
  claimMail(
    db: Reader,
    record: MailRecord,
    until: { readonly now: Date; readonly leaseUntil: Date; readonly quietSince: Date },
  ): Promise<'claimed' | 'told' | 'busy'>
  recordMail(db: Reader, record: MailRecord, now: Date): Promise<void>
  releaseMail(db: Reader, record: MailRecord, now: Date): Promise<void>
  writeOrderMail: WriteOrderMail
  failpoint(name: string): Promise<void>
}

/** What is older is news to nobody: events that were replayed late, or brought in from elsewhere, send no mail. */
const NEWS_HOURS = 72
/** Longer than a mail server can take. */
const LEASE_MINUTES = 3
/** One mail tells of all the payments for an order that are declined in that time. */
const QUIET_MINUTES = 60

/** Queues the mails of a batch of events: one statement. */
export const onOrderMailDue =
  (addJobs: (work: Parameters<Reaction>[0], jobs: readonly NewJob[]) => Promise<void>): Reaction =>
  (work, events) =>
    addJobs(
      work,
      events
        .filter((event) => event.occurredAt >= minutesAfter(work.now, -NEWS_HOURS * 60))
        .map(jobOf)
        .filter(isWorthTelling)
        .map((job) => ({
          task: 'orders.send-mail',
          key: `order-mail:${job.eventId}`,
          payload: job,
        })),
    )

/** What only decides whether there is a mail: `code` is why a payment was declined. */
type Reasons = { readonly totalMinor?: number; readonly code?: string }
type Facts = Omit<OrderMailJob, 'eventId' | 'kind'> & Reasons

/** Declines of attempts that never reached a bank: trying again helps, another card does not. */
const NO_FAULT_OF_THE_CARD: readonly unknown[] = ['provider-unavailable', 'not-received']

function jobOf({ id: eventId, type, data }: StoredEvent): OrderMailJob & Reasons {
  const { orderId, amountMinor, shipmentId, complete, from, why, totalMinor, code } = data as Facts
  const kind = ORDER_MAILS[type as keyof typeof ORDER_MAILS]
  return {
    eventId,
    kind,
    orderId,
    ...{ amountMinor, shipmentId, complete, from, why, totalMinor, code },
  } as OrderMailJob
}

/**
 * Nothing was paid for a free order, nothing left when a refund took the last units off one, who paid an expired one too
 * late is told why it cannot be fulfilled, and no bank said no to an attempt that reached none.
 */
const isWorthTelling = ({ kind, totalMinor, from, shipmentId, code }: OrderMailJob & Reasons): boolean =>
  !(kind === 'paid' && totalMinor === 0) &&
  !(kind === 'shipped' && shipmentId === undefined) &&
  !(kind === 'cancelled' && from === 'expired') &&
  !(kind === 'payment-failed' && NO_FAULT_OF_THE_CARD.includes(code))

/**
 * Writes one mail about an order and sends it, once: however often its event comes or its job runs, here or in another
 * process. Only a crash between sending and recording sends a second copy, with the same Message-ID. Throws what the mail
 * server says, without the address, and then nothing of the order has changed.
 */
export const sendOrderMail =
  (needs: SendOrderMailNeeds) =>
  async ({ db, now }: Single, job: OrderMailJob): Promise<void> => {
    const order = await needs.findOrder(db, job.orderId)
    if (!order || order.email === ERASED_EMAIL || isStale(order, job)) return
    const about = job.kind === 'payment-failed' ? job.kind : String(job.eventId)
    const record = { orderId: order.id, about, eventId: job.eventId }
    const leaseUntil = minutesAfter(now, LEASE_MINUTES)
    const claim = await needs.claimMail(db, record, { now, leaseUntil, quietSince: minutesAfter(now, -QUIET_MINUTES) })
    if (claim === 'told') return
    if (claim === 'busy') throw new Error(`The mail of event ${job.eventId} is being sent by another process.`)
    try {
      const telling = await tell(needs, db, order, job)
      const key = `orders:${job.eventId}:${job.kind}`
      if (!isCheap(order, job) || (await needs.mayGetMail(order.email)))
        await needs.mail.send([{ key, to: order.email, ...needs.writeOrderMail(telling) }])
    } catch (error) {
      await needs.releaseMail(db, record, now)
      throw error
    }
    await needs.failpoint('order.mailed')
    await needs.recordMail(db, record, now)
  }

/** Whether the order has moved on, so that the mail would only confuse. */
const isStale = ({ status, paymentStatus }: Order, { kind }: OrderMailJob): boolean =>
  (kind === 'payment-failed' && (status !== 'pending' || paymentStatus !== 'unpaid')) ||
  (kind === 'placed' && status === 'expired')

/** Whether somebody could have caused this mail for free, in a stranger's name. */
const isCheap = ({ paymentStatus }: Order, { kind }: OrderMailJob): boolean =>
  paymentStatus === 'unpaid' && (kind === 'placed' || kind === 'payment-failed' || kind === 'cancelled')

async function tell(needs: SendOrderMailNeeds, db: Reader, order: Order, job: OrderMailJob): Promise<Telling> {
  const { shippingAddress, billingAddress } = order
  return {
    order,
    job,
    amount: money(job.amountMinor ?? order.totalMinor, order.currency),
    parcel: job.shipmentId && (await needs.findShipment(db, job.shipmentId)),
    name: isCheap(order, job) ? null : ((shippingAddress ?? billingAddress)?.name ?? null),
    token: order.userId === null ? needs.orderToken(order) : null,
  }
}
