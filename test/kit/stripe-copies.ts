import { sql } from 'kysely'
import type { VariantId } from '#kernel/ids.ts'
import type { StripeEvent } from './stripe/books.ts'
import type { Scenario } from './stripe-scenarios.ts'
import type { Bought, StripeShop } from './stripe-shop.ts'

/** What happens next: a step of the scenario, or the `event`-th event of that step is told. */
export type Action = { readonly step: number; readonly event?: number }
/** What happens to an order, round by round; nothing where there is none. */
export type Schedule = readonly (Action | undefined)[]
export type Plan = { readonly scenario: Scenario; readonly schedule: Schedule }
/** One order that lives through its scenario. */
export type Copy = Plan & {
  readonly order: Bought
  /** By step, what Stripe has to tell of it. */
  readonly told: StripeEvent[][]
  readonly delivered: Set<string>
}
/** When the inbox is worked on: after each round, when all were told, or now and then. */
export type Pace = 'each' | 'together' | (() => boolean)

const AT_ONCE = 16

/** Runs over all of them, a few at the same time. */
async function eachOf<One>(all: readonly One[], run: (one: One) => Promise<unknown>): Promise<void> {
  const next = all[Symbol.iterator]()
  const work = async () => {
    for (let one = next.next(); !one.done; one = next.next()) await run(one.value)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

/** Lets everything happen that is planned, each plan to an order of its own, round by round: all of them share the settling. */
export async function runCopies(
  at: StripeShop,
  variantId: VariantId,
  plans: readonly Plan[],
  pace: Pace,
): Promise<Copy[]> {
  const copies: Copy[] = []
  const begin = (some: readonly Plan[]) =>
    eachOf(some, async (plan) => {
      copies.push({ ...plan, order: await at.anOrder(variantId), told: [], delivered: new Set() })
    })
  await begin(plans.filter(({ scenario }) => scenario.late))
  if (copies.length > 0) {
    at.advance(16)
    await at.settle()
  }
  await begin(plans.filter(({ scenario }) => !scenario.late))
  const rounds = Math.max(...plans.map(({ schedule }) => schedule.length))
  for (let round = 0; round < rounds; round += 1) {
    const acting = copies.flatMap((copy) => {
      const action = copy.schedule[round]
      return action ? [{ copy, action }] : []
    })
    await eachOf(acting, async ({ copy, action: { step, event } }) => {
      if (event === undefined) await copy.scenario.steps[step]?.(at, copy.order)
      else await deliver(at, copy, copy.told[step]?.[event])
    })
    const steps = acting.filter(({ action }) => action.event === undefined)
    if (pace === 'together' ? steps.length > 0 : pace === 'each' || pace()) await at.settle()
    if (steps.length > 0) collect(at, copies, round)
  }
  return copies
}

/** What came since the last step belongs to it: its own events, and those of what the shop did because of it. */
function collect(at: StripeShop, copies: readonly Copy[], round: number): void {
  const byPayment = at.eventsByPayment()
  for (const { order, schedule, told } of copies) {
    const step = schedule.slice(0, round + 1).findLast((action) => action && action.event === undefined)?.step
    if (step === undefined) continue
    const known = new Set(told.flat().map(({ id }) => id))
    told[step] = [...(told[step] ?? []), ...(byPayment.get(order.paymentId) ?? []).filter(({ id }) => !known.has(id))]
  }
}

async function deliver(at: StripeShop, { delivered }: Copy, event: StripeEvent | undefined): Promise<void> {
  if (!event) return
  delivered.add(event.id)
  const [status] = await at.hand(at.webhookOf(event))
  if (status !== 204) throw new Error(`The webhook ${event.type} was answered ${status}.`)
}

/** Tells all that was not told yet, until nothing more comes of it. */
export async function tellTheRest(at: StripeShop, copies: readonly Copy[]): Promise<void> {
  for (let rest = -1; rest !== 0; ) {
    await at.settle()
    const byPayment = at.eventsByPayment()
    const untold = copies.flatMap((copy) =>
      (byPayment.get(copy.order.paymentId) ?? []).flatMap((event) =>
        copy.delivered.has(event.id) ? [] : [{ copy, event }],
      ),
    )
    await eachOf(untold, ({ copy, event }) => deliver(at, copy, event))
    rest = untold.length
  }
}

const MOST_EVENTS = 9

/** The order in which things really happen: each step, and at once what Stripe tells of it. */
export const honest = (steps: number): Schedule =>
  Array.from({ length: steps }, (_, step) => [
    { step },
    ...Array.from({ length: MOST_EVENTS }, (_, event) => ({ step, event })),
  ]).flat()

/** Every order in which these events can be told once all has happened, in so many rounds. */
export const afterwards = (events: readonly Action[], steps: number, rounds: number): Schedule[] =>
  permutations(events).map((told) => [
    ...Array.from({ length: rounds }, (_, round) =>
      round < rounds - steps ? undefined : { step: round - (rounds - steps) },
    ),
    ...told,
  ])

const permutations = <Item>(items: readonly Item[]): Item[][] =>
  items.length === 0
    ? [[]]
    : items.flatMap((item, index) => permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]))

/** A schedule by chance: steps in their order, each event some time after its step. */
export function anySchedule(events: readonly Action[], steps: number, random: () => number): Schedule {
  const schedule: Action[] = [{ step: 0 }]
  const left = [...events]
  for (let step = 1; step < steps || left.length > 0; ) {
    const ready = left.filter((event) => event.step < step)
    const place = Math.floor(random() * (ready.length + (step < steps ? 1 : 0)))
    const event = ready[place]
    if (event) left.splice(left.indexOf(event), 1)
    schedule.push(event ?? { step: step++ })
  }
  return schedule
}

/** What became of each copy, in words that do not depend on the order in which things were told. */
export async function statesOf(at: StripeShop, copies: readonly Copy[]): Promise<string[]> {
  const ids = copies.map(({ order }) => order.paymentId)
  const rows = await at.query(sql<{ id: string; state: object }>`
    select p.id, jsonb_build_object(
      'order', (select array[o.status, o.payment_status, o.refunded_minor::text] from orders.orders o where o.id = p.order_id),
      'payment', array[p.status, p.captured_minor::text, p.refunded_minor::text, p.refunding_minor::text, p.review_reason],
      'attempts', (select jsonb_agg(a.status order by a.created_at, a.id) from payments.attempts a where a.payment_id = p.id),
      'refunds', (select jsonb_agg(array[r.amount_minor::text, r.status, r.surplus::text] order by r.amount_minor, r.status)
        from payments.refunds r where r.payment_id = p.id),
      'disputes', (select jsonb_agg(array[d.amount_minor::text, d.status] order by d.amount_minor)
        from payments.disputes d where d.payment_id = p.id),
      'ledger', (select jsonb_agg(array[l.kind, l.debit, l.credit, l.minor::text] order by l.kind, l.debit, l.credit) from (
        select kind, debit, credit, sum(amount_minor) as minor from payments.ledger
        where payment_id = p.id group by kind, debit, credit) l),
      'stock', (select array[sum(h.held), sum(h.committed), sum(h.released)] from catalog.holds h where h.reference = p.order_id),
      'events', (select jsonb_object_agg(e.type, e.times) from (
        select type, count(*) as times from platform.events
        where subject in (p.id, p.order_id) and type <> 'payments.declined.v1' group by type) e)
    ) as state
    from payments.payments p where p.id = any(${ids}::text[])`)
  const byId = new Map(rows.map(({ id, state }) => [id, JSON.stringify(state)]))
  return ids.map((id) => byId.get(id) ?? 'nothing')
}
