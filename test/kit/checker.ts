import type { Line } from './buyer.ts'
import type { Answer, Asked, Seen } from './history.ts'
import type { Books, Effect, PaymentRow, Taken } from './witnesses.ts'

/** Everything that bears witness: what clients saw, what our books say, what the provider's say, and what was done outside. */
export type Evidence = {
  readonly history: readonly Seen[]
  readonly books: Books
  /** What the payment provider holds, an object each. */
  readonly provider: readonly Taken[]
  /** What consumers did outside, each time; and what they must have done. */
  readonly effects?: readonly Effect[]
  readonly due?: readonly Effect[]
}

/** What became of one request, however often it was sent: of several acknowledgements each is kept. */
type Fate = {
  readonly asked: Asked
  readonly key: string
  readonly told: Seen['told']
  readonly answers: readonly Answer[]
  readonly tries: readonly Seen[]
}

/** What is wrong, in words; nothing when every witness tells the same story. A pure function. */
export function violationsIn(evidence: Evidence): string[] {
  const fates = fatesOf(evidence.history)
  return [
    ...twoAnswers(fates),
    ...ordersLost(fates, evidence.books),
    ...ordersBeyond(fates, evidence.books),
    ...halfOrders(evidence.books),
    ...paymentsWrong(fates, evidence),
    ...capturesWrong(fates, evidence.books),
    ...ledgersApart(evidence),
    ...refundsWrong(fates, evidence.books),
    ...effectsWrong(evidence),
    ...evidence.books.givenUp,
  ]
}

/** Where everybody insists: what somebody asked for and was never told of, in words. */
export const neverTold = (history: readonly Seen[]): string[] =>
  fatesOf(history).flatMap(({ asked, key, told, tries }) => {
    if (told !== 'unknown') return []
    const [first, last] = [tries[0], tries.at(-1)] as [Seen, Seen]
    const insistedMs = last.answeredAt - first.askedAt
    return [
      `nobody told in ${insistedMs} ms what became of the ${asked.what} with key ${key}: ${last.status} ${last.code ?? ''}`,
    ]
  })

/** Of each key: acknowledged when it ever was; else what was heard last, as a repeat tells what an unknown answer did not. */
function fatesOf(history: readonly Seen[]): Fate[] {
  const byKey = Map.groupBy(history, ({ asked, key }) => `${asked.what} ${subjectOf(asked)} ${key}`)
  return [...byKey.values()].map((tries) => {
    const answers = tries.flatMap(({ told, answer }) => (told === 'acknowledged' && answer ? [answer] : []))
    const { asked, key, told } = tries.at(-1) as Seen
    return { asked, key, told: answers.length > 0 ? 'acknowledged' : told, answers, tries }
  })
}

const subjectOf = (asked: Asked): string => (asked.what === 'order' ? asked.cartId : asked.paymentId)

const only = <What extends Asked['what']>(fates: readonly Fate[], what: What) =>
  fates.filter((fate): fate is Fate & { asked: Extract<Asked, { what: What }> } => fate.asked.what === what)

const textOf = (lines: readonly Line[]): string =>
  lines
    .map(({ variantId, quantity }) => `${quantity} × ${variantId}`)
    .sort()
    .join(', ')

/** One key, one answer. */
const twoAnswers = (fates: readonly Fate[]): string[] =>
  fates.flatMap(({ asked, key, answers }) => {
    const ids = [...new Set(answers.map(({ id }) => id))]
    return ids.length > 1 ? [`key ${key} of one ${asked.what} was answered with ${ids.join(' and ')}`] : []
  })

/** Every acknowledged order is there, with the lines and the total that were told and asked for. */
function ordersLost(fates: readonly Fate[], { orders }: Books): string[] {
  const byId = new Map(orders.map((order) => [order.id, order]))
  return only(fates, 'order').flatMap(({ asked, answers: [answer] }) => {
    if (!answer) return []
    const order = byId.get(answer.id)
    if (!order) return [`order ${answer.id} was acknowledged and is lost`]
    const [told, wanted, kept] = [answer.lines ?? asked.lines, asked.lines, order.lines].map(textOf)
    return [
      ...(told === kept && wanted === kept ? [] : [`order ${order.id}: asked ${wanted}; told ${told}; kept ${kept}`]),
      ...(answer.amountMinor === order.totalMinor
        ? []
        : [`order ${order.id}: told a total of ${answer.amountMinor}, kept ${order.totalMinor}`]),
    ]
  })
}

/** A cart that was only refused has no order; one that was asked for has one that lives, at most, and with what was asked. */
function ordersBeyond(fates: readonly Fate[], { orders }: Books): string[] {
  const byCart = Map.groupBy(orders, ({ cartId }) => cartId)
  const asked = Map.groupBy(only(fates, 'order'), (fate) => fate.asked.cartId)
  return [...asked].flatMap(([cartId, requests]) => {
    const made = byCart.get(cartId) ?? []
    const living = made.filter(({ status }) => status !== 'expired' && status !== 'cancelled')
    const wanted = new Set(requests.map((request) => textOf(request.asked.lines)))
    const isRefused = requests.every(({ told }) => told === 'refused')
    return [
      ...(isRefused ? made.map(({ id }) => `order ${id} is there, but was refused`) : []),
      ...(living.length > 1 ? [`cart ${cartId} became ${living.map(({ id }) => id).join(' and ')}`] : []),
      ...made.flatMap(({ id, lines }) =>
        wanted.has(textOf(lines)) ? [] : [`order ${id} is of ${textOf(lines)}, which nobody asked for`],
      ),
    ]
  })
}

/** An order has its lines, its hold of each, its payment and its event, or it is not there at all. */
const halfOrders = ({ orders }: Books): string[] =>
  orders.flatMap(({ id, lines, heldUnits, paymentIds, placedEvents, totalMinor }) => {
    const units = lines.reduce((sum, { quantity }) => sum + quantity, 0)
    return [
      ...(lines.length === 0 ? [`order ${id} has no lines`] : []),
      ...(heldUnits === units ? [] : [`order ${id} is of ${units} units and held ${heldUnits}`]),
      ...(paymentIds.length === (totalMinor > 0 ? 1 : 0) ? [] : [`order ${id} has ${paymentIds.length} payments`]),
      ...(placedEvents === 1 ? [] : [`order ${id} was told of ${placedEvents} times`]),
    ]
  })

/** Who was told that they have paid was charged once and the sum owed; whose every card was declined was not. */
function paymentsWrong(fates: readonly Fate[], { books, provider }: Evidence): string[] {
  const taken = Map.groupBy(
    provider.filter(({ captured }) => captured > 0),
    ({ paymentId }) => paymentId,
  )
  const rows = new Map(books.payments.map((payment) => [payment.id, payment]))
  const attempts = Map.groupBy(only(fates, 'payment'), ({ asked }) => asked.paymentId)
  return [...attempts].flatMap(([id, tries]) => {
    const objects = taken.get(id) ?? []
    const said = tries.flatMap(({ answers, told }) =>
      answers.length > 0 ? answers.map(({ status }) => status) : [told],
    )
    const row = rows.get(id)
    if (!row) return [`payment ${id} was tried and is lost`]
    if (said.includes('succeeded') && row.status !== 'authorised' && !isLetGo(row)) {
      const captured = objects.map((object) => object.captured).join(' and ') || 'nothing'
      return objects.length === 1 && row.capturedMinor === objects[0]?.captured
        ? []
        : [`payment ${id} was acknowledged: the provider took ${captured}, we booked ${row.capturedMinor}`]
    }
    const isDeclined = said.every((one) => one === 'declined' || one === 'refused')
    return isDeclined && objects.length > 0 ? [`payment ${id} was declined, and the provider took money`] : []
  })
}

/** Its money was held, and never taken: the order was cancelled before the capture. */
const isLetGo = ({ status, wasAuthorised, bookedMinor }: PaymentRow): boolean =>
  status === 'cancelled' && wasAuthorised && bookedMinor === 0

/** Of authorised money that much was taken as staff were told. */
function capturesWrong(fates: readonly Fate[], { payments }: Books): string[] {
  const rows = new Map(payments.map((payment) => [payment.id, payment]))
  return only(fates, 'capture').flatMap(({ asked: { paymentId, amountMinor }, answers: [answer] }) => {
    const captured = rows.get(paymentId)?.capturedMinor
    return answer && answer.status !== 'failed' && captured !== amountMinor
      ? [`payment ${paymentId}: a capture of ${amountMinor} was acknowledged, and ${captured} captured`]
      : []
  })
}

/** What we booked is what the provider has, payment by payment. */
function ledgersApart({ books, provider }: Evidence): string[] {
  const theirs = Map.groupBy(provider, ({ paymentId }) => paymentId)
  const ours = new Map(books.payments.map(({ id, bookedMinor, returnedMinor }) => [id, [bookedMinor, returnedMinor]]))
  return [...new Set([...theirs.keys(), ...ours.keys()])].flatMap((id) => {
    const objects = theirs.get(id) ?? []
    const sum = (of: (object: Taken) => number) => objects.reduce((total, object) => total + of(object), 0)
    const [there, here] = [[sum(({ captured }) => captured), sum(({ refunded }) => refunded)], ours.get(id) ?? [0, 0]]
    return there.join() === here.join()
      ? []
      : [`payment ${id}: the provider has +${there.join(' −')}, our books +${here.join(' −')}`]
  })
}

/** An acknowledged refund is there with its amount; of each amount there are no more than were asked for. */
function refundsWrong(fates: readonly Fate[], { refunds }: Books): string[] {
  const byId = new Map(refunds.map((refund) => [refund.id, refund]))
  const asked = only(fates, 'refund')
  const lost = asked.flatMap(({ asked: { amountMinor }, answers: [answer] }) => {
    if (!answer) return []
    const refund = byId.get(answer.id)
    if (!refund) return [`refund ${answer.id} was acknowledged and is lost`]
    return refund.amountMinor === amountMinor
      ? []
      : [`refund ${refund.id}: asked ${amountMinor}, kept ${refund.amountMinor}`]
  })
  const nameOf = (paymentId: string, amountMinor: number) => `${amountMinor} of payment ${paymentId}`
  const made = Map.groupBy(
    refunds.filter(({ byStaff }) => byStaff),
    ({ paymentId, amountMinor }) => nameOf(paymentId, amountMinor),
  )
  const possible = Map.groupBy(
    asked.filter(({ told }) => told !== 'refused'),
    (fate) => nameOf(fate.asked.paymentId, fate.asked.amountMinor),
  )
  const names = new Set(asked.map((fate) => nameOf(fate.asked.paymentId, fate.asked.amountMinor)))
  const beyond = [...names].flatMap((name) => {
    const [there, most] = [made.get(name)?.length ?? 0, possible.get(name)?.length ?? 0]
    return there > most ? [`${there} refunds of ${name}, where ${most} were asked for and not refused`] : []
  })
  return [...lost, ...beyond]
}

/** One event, one effect for each who hears it. */
function effectsWrong({ effects = [], due = [] }: Evidence): string[] {
  const nameOf = ({ consumer, event }: Effect) => `${consumer} of ${event}`
  const done = Map.groupBy(effects, nameOf)
  const twice = [...done].flatMap(([name, { length }]) => (length > 1 ? [`${name} happened ${length} times`] : []))
  const missing = due.map(nameOf).filter((name) => !done.has(name))
  return [...twice, ...missing.map((name) => `${name} did not happen`)]
}
