import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { SEED, sized } from '../kit/chaos.ts'
import { p99Of, verdict } from '../kit/verdict.ts'
import { boundsMissingIn } from './bounds.ts'
import { faultsBy } from './faults.ts'
import { type FuzzedShop, openFuzzedShop } from './fuzzed-shop.ts'
import { invalidBy } from './invalid.ts'

const PER_OPERATION = sized(1, 500)

let shop: FuzzedShop
beforeAll(async () => {
  shop = await openFuzzedShop()
})
afterAll(() => shop?.buying.close())

describe('P18: bad input', () => {
  test('whatever is taken has bounds', () => {
    expect(shop.operations.flatMap((operation) => boundsMissingIn(operation, shop.resolve))).toEqual([])
  })

  test('is refused as the document says, tells nothing, takes no time, and changes nothing', async () => {
    const { operations, resolve, fitting, judge, makeAsk } = shop
    const who = await shop.people()
    const faults = faultsBy(resolve, fitting, SEED)
    const invalid = invalidBy({ makeAsk, judge, faults, random: seeded(SEED) })
    const before = await shop.books()
    const violations: string[] = []
    const counts: number[] = []
    const times: number[] = []
    for (const [index, operation] of operations.entries()) {
      const refused = invalid(operation, PER_OPERATION, SEED * 1_000_003 + index * 1_009, who)
      counts.push(refused.length)
      for (const { why, ask, status } of refused) {
        const { ms, wrong } = await shop.send(operation, ask, why, status)
        times.push(ms)
        violations.push(...wrong)
      }
    }
    if (JSON.stringify(await shop.books()) !== JSON.stringify(before)) violations.push('the books were changed')
    if (({} as { polluted?: boolean }).polluted !== undefined)
      violations.push('the prototype of all objects was changed')
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(PER_OPERATION)
    verdict({
      promise: 'P18',
      tried: `invalid requests, at least ${Math.min(...counts)} to each of ${operations.length} operations`,
      n: times.length,
      violations,
      p99Ms: p99Of(times),
      seed: SEED,
    })
  })
}, 600_000)
