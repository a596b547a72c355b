import { afterAll, beforeAll, describe, test } from 'vitest'
import { SEED, sized } from '../kit/chaos.ts'
import { p99Of, verdict } from '../kit/verdict.ts'
import type { Ask, Headers } from './asks.ts'
import { type Operation, takes } from './document.ts'
import { type FuzzedShop, openFuzzedShop } from './fuzzed-shop.ts'
import { BODIES, HEADERS, PLACES } from './hostile.ts'

const PER_OPERATION = sized(9, 200)

let shop: FuzzedShop
beforeAll(async () => {
  shop = await openFuzzedShop()
})
afterAll(() => shop?.buying.close())

/** Requests with odd headers, with cursors that lead nowhere, and with bodies that nobody may read: refused or not. */
function oddAsks(operation: Operation, seed: number, people: readonly Headers[]): Ask[] {
  const sound = shop.makeAsk(operation, seed, people[seed % people.length] as Headers)
  const list = shop.makeAsk(operation, seed, people[0] as Headers)
  const orders = takes(operation, 'q')
    ? ['', '&sort=title', '&sort=-price', '&q=mug', '&currency=USD&sort=price']
    : ['']
  const odd = [
    ...HEADERS.map((headers) => ({ ...sound, headers: { ...sound.headers, ...headers } })),
    ...(takes(operation, 'cursor') ? PLACES : []).flatMap((cursor) =>
      orders.map((order) => ({
        ...list,
        url: `${list.url.split('?', 1)[0]}?cursor=${encodeURIComponent(cursor)}${order}`,
      })),
    ),
    ...(/Webhook$/.test(operation.operationId) ? BODIES : []).map(([, payload]) => ({
      ...sound,
      headers: { ...sound.headers, 'content-type': 'application/json' },
      payload,
    })),
  ]
  return odd.filter((_, index) => (index + seed) % sized(4, 1) === 0)
}

describe('P18: sound input', () => {
  test('whatever is asked by whomever: only what the document says comes back, and the books are right', async () => {
    const violations: string[] = []
    let done = 0
    const counts: number[] = []
    const times: number[] = []
    const last = ({ method }: Operation) => (method === 'DELETE' ? 1 : 0)
    const ordered = shop.operations.toSorted((one, other) => last(one) - last(other))
    for (const [index, operation] of ordered.entries()) {
      let reached = false
      let people = await shop.people()
      const seed = SEED * 1_000_003 + index * 1_009
      const odd = oddAsks(operation, index, people)
      for (let count = 0; count < PER_OPERATION; count += 1) {
        if (count % 10 === 9) people = await shop.people()
        const ask = shop.makeAsk(operation, seed + count, people[count % 3] as Headers)
        const { status, ms, wrong } = await shop.send(operation, ask, `sound ${count}`)
        reached ||= status < 300
        times.push(ms)
        violations.push(...wrong)
      }
      for (const ask of odd) violations.push(...(await shop.send(operation, ask, 'odd')).wrong)
      counts.push(PER_OPERATION + odd.length)
      if (reached) done += 1
    }
    violations.push(...(await shop.auditFindings()))
    if (done < shop.operations.length / 2) violations.push(`only ${done} operations did something`)
    verdict({
      promise: 'P18',
      tried: `sound and odd requests, at least ${Math.min(...counts)} to each of ${shop.operations.length} operations, ${done} of which did something`,
      n: counts.reduce((sum, one) => sum + one, 0),
      violations,
      p99Ms: p99Of(times),
      seed: SEED,
    })
  })
}, 600_000)
