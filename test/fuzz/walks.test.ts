import { afterAll, beforeAll, describe, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { SEED, sized } from '../kit/chaos.ts'
import { verdict } from '../kit/verdict.ts'
import { curlOf, type Headers } from './asks.ts'
import { type FuzzedShop, openFuzzedShop } from './fuzzed-shop.ts'

const STEPS = sized(400, 4_000)
const BUYERS = ['cart', 'order', 'payment', 'payment'] as const
/** What walks go through most: what holds goods, money and rights. */
const OFTEN = /carts|orders|payments|inventory|products|users|roles|api-keys|erasures/

let shop: FuzzedShop
beforeAll(async () => {
  shop = await openFuzzedShop()
})
afterAll(() => shop?.buying.close())

describe('P18: walks', () => {
  test('whatever is done in whatever order by whomever, with ids of answers: it is answered as documented, and the books are right', async () => {
    const random = seeded(SEED)
    const below = (most: number) => Math.floor(random() * most)
    const { clock, app } = shop.buying.shop
    const operations = shop.operations.flatMap((one) => (OFTEN.test(one.path) ? [one, one, one] : [one]))
    const history: string[] = []
    const violations: string[] = []
    let done = 0
    let people = await shop.people()
    for (let step = 0; step < STEPS; step += 1) {
      if (below(20) === 0) clock.advance(1 + below(9))
      if (below(10) === 0) await app.settle()
      if (step % 10 === 0) {
        people = await shop.people()
        if (below(2) === 0) await shop.aBuyerComes(BUYERS[below(BUYERS.length)]!)
      }
      const operation = operations[below(operations.length)]!
      const ask = shop.makeAsk(operation, below(2 ** 31), people[below(3)] as Headers)
      const { status, told, wrong } = await shop.send(operation, ask, `step ${step}`)
      if (status < 300) done += 1
      if (operation.method !== 'GET') history.push(`step ${step}: ${told}\n  ${curlOf(ask)}`)
      violations.push(...wrong)
    }
    const findings = await shop.auditFindings()
    for (const finding of findings) {
      const about = /"subject":"(\w+)"/.exec(finding)?.[1] ?? finding
      violations.push([finding, ...history.filter((line) => line.includes(about)).slice(-5)].join('\n'))
    }
    const tried = `random steps by owner, customers and guests, ${done} of which did something, then the audit`
    if (done < STEPS / 10) violations.push(`only ${done} steps of ${STEPS} did something`)
    verdict({ promise: 'P18', tried, n: STEPS, violations, seed: SEED })
  })
}, 600_000)
