import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { SEED, shuffled, sized } from '../kit/chaos.ts'
import { afterwards, anySchedule, type Pace, runCopies, type Schedule, tellTheRest } from '../kit/stripe-copies.ts'
import { different, type Model, type ModelShop, modelShops } from '../kit/stripe-models.ts'
import { SCENARIOS } from '../kit/stripe-scenarios.ts'
import { violationsOf } from '../kit/stripe-shop.ts'
import { verdict } from '../kit/verdict.ts'

vi.setConfig({ testTimeout: 1_800_000, hookTimeout: 120_000 })

/**
 * P5: whatever happens to a payment, what is told of it ends in one state, in each order, worked on one by one, all together
 * or now and then, and whenever it comes between what happens. CHAOS=full for all permutations, which are 120 at most.
 */
const MOST = sized(6, 120)
/** Of one scenario, told while it happens. */
const MIXED = sized(6, 40)
const STEPS = Math.max(...SCENARIOS.map(({ steps }) => steps.length))
let shops: ModelShop[]
beforeAll(async () => {
  shops = await modelShops()
})
afterAll(() => Promise.all(shops.map(({ at }) => at.close())))

const random = seeded(SEED)
/** Some of them, by a seed, when they are too many. */
const some = <One>(all: readonly One[]): One[] => shuffled(all, random).slice(0, MOST)
const permuted = ({ varied, scenario: { steps } }: Model): Schedule[] => some(afterwards(varied, steps.length, STEPS))
const mixed = ({ varied, scenario: { steps } }: Model): Schedule[] =>
  Array.from({ length: MIXED }, () => anySchedule(varied, steps.length, random))

const WAYS: readonly (readonly [string, (model: Model) => Schedule[], Pace])[] = [
  ['told afterwards, worked on one by one', permuted, 'each'],
  ['told afterwards, worked on all together', permuted, 'together'],
  ['told while it happens, worked on one by one', mixed, 'each'],
  ['told while it happens, worked on now and then', mixed, () => random() < 0.4],
]

test('no scenario varies more than five events', () => {
  const counts = shops.flatMap(({ models }) => models.map(({ varied }) => varied.length))
  expect(counts).toHaveLength(SCENARIOS.length)
  expect(Math.min(...counts)).toBeGreaterThan(1)
  expect(Math.max(...counts)).toBeLessThanOrEqual(5)
})

test.each(WAYS)('%s: one state per scenario', async (way, schedulesOf, pace) => {
  const violations: string[] = []
  let told = 0
  for (const shop of shops) {
    const { at, mug, models } = shop
    const plans = models.flatMap((model) =>
      schedulesOf(model).map((schedule) => ({ scenario: model.scenario, schedule })),
    )
    const copies = await runCopies(at, mug, plans, pace)
    await tellTheRest(at, copies)
    told += copies.length
    violations.push(...(await different(shop, copies)))
    at.advance(1)
    await at.settle()
    violations.push(...(await different(shop, copies)), ...(await violationsOf(at)))
  }
  verdict({ promise: 'P5', tried: `orders of telling, ${way}`, n: told, violations, seed: SEED })
})
