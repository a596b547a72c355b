import type { VariantId } from '#kernel/ids.ts'
import { type Action, type Copy, honest, runCopies, statesOf, tellTheRest } from './stripe-copies.ts'
import { SCENARIOS, type Scenario } from './stripe-scenarios.ts'
import { type StripeShop, stripeShop } from './stripe-shop.ts'

/** A scenario as it ends when everything is told at once and once: what every other way of telling it is held against. */
export type Model = {
  readonly scenario: Scenario
  /** Everything that Stripe has to tell. */
  readonly events: readonly Action[]
  /** The five or fewer whose order is varied in every way. */
  readonly varied: readonly Action[]
  readonly state: string
  readonly copy: Copy
}
export type ModelShop = { readonly at: StripeShop; readonly mug: VariantId; readonly models: readonly Model[] }

/** A shop that takes money at once and one that authorises it first, each with the models of its scenarios. */
export const modelShops = (): Promise<ModelShop[]> =>
  Promise.all(
    (['automatic', 'manual'] as const).map(async (capture) => {
      const at = await stripeShop({ PAYMENT_CAPTURE: capture })
      const mug = await at.shop.aProduct('mug', { units: 100_000 })
      const plans = SCENARIOS.filter(({ manual = false }) => manual === (capture === 'manual')).map((scenario) => ({
        scenario,
        schedule: honest(scenario.steps.length),
      }))
      const copies = await runCopies(at, mug, plans, 'each')
      await tellTheRest(at, copies)
      const states = await statesOf(at, copies)
      return { at, mug, models: copies.map((copy, i) => modelOf(copy, states[i] ?? '')) }
    }),
  )

function modelOf(copy: Copy, state: string): Model {
  const { scenario, told } = copy
  const named = new Set(scenario.tells ?? told.flat().map(({ type }) => type))
  const all = told.flatMap((events, step) => events.map(({ type }, event) => ({ step, event, type })))
  return {
    ...{ scenario, copy, state, events: all },
    varied: all.filter(({ type }) => named.has(type)),
  }
}

/** The copies that ended otherwise than their model. */
export async function different({ at, models }: ModelShop, copies: readonly Copy[]): Promise<string[]> {
  const states = await statesOf(at, copies)
  return copies.flatMap(({ scenario, schedule }, i) => {
    const model = models.find((one) => one.scenario === scenario)
    if (!model || states[i] === model.state) return []
    const told = schedule.flatMap((action) => (action ? [shown(model.copy, action)] : [])).join(', ')
    return [`${scenario.name}: told ${told}, expected ${model.state}, ended as ${states[i]}`]
  })
}

const shown = ({ told }: Copy, { step, event }: Action): string =>
  event === undefined ? `step ${step}` : (told[step]?.[event]?.type ?? '')
