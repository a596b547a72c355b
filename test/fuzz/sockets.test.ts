import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { SEED, sized } from '../kit/chaos.ts'
import { verdict } from '../kit/verdict.ts'
import { ATTACKS, type Attack, SPARE_MS, slowAttacks } from './attacks.ts'
import { deformed } from './deformed.ts'
import { floodsOf } from './floods.ts'
import { LIMIT_MS } from './judge.ts'
import { type Exchange, exchange, type Sending } from './raw-socket.ts'
import { REQUEST_MS, startWatchedService, type WatchedService } from './watched-service.ts'

const MOST_GROWTH_MB = 50
const PATIENCE_MS = 10_000
/** The next one is sent by then, whether this one was answered or not. */
const FIRST_LOOK_MS = 150
/** A request that never ends has a limit of its own, and a file of 10 MB is written down. */
const MAY_TAKE_TIME: readonly (number | undefined)[] = [408, 202]
const WARM = 24
const AT_ONCE = 4

let service: WatchedService
let floods: readonly Attack[]
let before: number
beforeAll(async () => {
  service = await startWatchedService()
  floods = await floodsOf(service)
  await flooded(floods.slice(0, WARM))
  before = await service.residentMb(2_000)
  service.longestSilence()
}, 120_000)
afterAll(() => service?.stop())

/** What comes back on a connection, and after which time, as far as it was the service's own doing. */
async function exchanged(bytes: Sending, answers: number, patienceMs: number): Promise<Exchange> {
  const starved = service.starvedMs()
  const got = await exchange(service.url, bytes, { answers, patienceMs })
  return { ...got, ms: got.ms - (service.starvedMs() - starved) }
}

/** What is wrong with the answers to an attack, as far as the wire goes. */
function wrongOnTheWire({ answers, rest, ms }: Exchange): string[] {
  const last = answers.at(-1)?.status
  return [
    ...(last && ms > LIMIT_MS && !MAY_TAKE_TIME.includes(last) ? [`${last} after ${ms.toFixed()} ms`] : []),
    ...(rest === '' ? [] : [`bytes that are no answer: ${JSON.stringify(rest.slice(0, 80))}`]),
    ...answers.flatMap(({ status, headers, body }) => [
      ...(status >= 500 ? [`${status} is our fault`] : []),
      ...(status >= 400 && !isProblem(headers['content-type'], body, status)
        ? [`${status} is no problem document`]
        : []),
      ...(headers['x-request-id'] ? [] : [`${status} has no request id`]),
    ]),
  ]
}

function isProblem(type: string | undefined, body: string, status: number): boolean {
  return /^application\/problem\+json/.test(type ?? '') && JSON.parse(body).status === status
}

/** What is wrong with what came back for bytes of which nobody knows what they are. */
function wrongForDeformed(bytes: Buffer, got: Exchange): string[] {
  const { answers, closed } = got
  // As many as there can be at most: each ends in a blank line, but for the last one.
  const heads = bytes.toString('latin1').split('\r\n\r\n').filter(Boolean).length
  return [
    ...wrongOnTheWire(got),
    ...(answers.length > Math.max(1, heads) ? [`${answers.length} answers to ${heads} heads`] : []),
    ...(answers.length === 0 && !closed ? ['neither answered nor closed'] : []),
  ]
}

/** What somebody else is answered who comes next, with an id of their own. */
async function wrongForNext(): Promise<string[]> {
  const id = `next-${randomUUID()}`
  const { answers, rest } = await exchange(
    service.url,
    `GET /v1/store HTTP/1.1\r\nHost: shop.example\r\nX-Request-Id: ${id}\r\n\r\n`,
    { answers: 1, patienceMs: PATIENCE_MS },
  )
  const isTheirs = answers.length === 1 && answers[0]?.status === 200 && answers[0].headers['x-request-id'] === id
  return isTheirs && rest === '' ? [] : [`the next one was answered ${JSON.stringify(answers).slice(0, 200)}`]
}

async function violationsOf({ why, bytes, answers, patienceMs = PATIENCE_MS }: Attack): Promise<string[]> {
  const got = await exchanged(bytes(), answers.length, patienceMs)
  const statuses = got.answers.map(({ status }) => status)
  const isExpected =
    answers.length === 0 ||
    (statuses.length === answers.length && answers.every((some, index) => some.includes(statuses[index] as number)))
  const wrong = [
    ...(isExpected ? [] : [`answered ${statuses.join(', ') || 'nothing'}`]),
    ...wrongOnTheWire(got),
    ...(await wrongForNext()),
  ]
  return wrong.map((what) => `${why}: ${what}`)
}

/** What is wrong with the answers to floods, of which some come at a time. */
async function flooded(all: readonly Attack[]): Promise<string[]> {
  const violations: string[] = []
  for (let at = 0; at < all.length; at += AT_ONCE)
    violations.push(...(await Promise.all(all.slice(at, at + AT_ONCE).map(violationsOf))).flat())
  return violations
}

describe('P18: over the wire', () => {
  test('no bytes are read as two requests, answered twice or by silence, and nobody else hears of them', async () => {
    const attacks = [...ATTACKS, ...slowAttacks(REQUEST_MS)]
    const violations = (await Promise.all(attacks.map(violationsOf))).flat()
    verdict({
      promise: 'P18',
      tried: 'smuggled, cut, slow and strange requests on raw sockets',
      n: attacks.length,
      violations,
      seed: SEED,
    })
  })

  test('neither is anything that these become by chance', async () => {
    const random = seeded(SEED)
    const violations: string[] = []
    const count = sized(300, 2_000)
    const bytes = Array.from({ length: count }, () => deformed(ATTACKS, random))
    const next = bytes[Symbol.iterator]()
    const judged: Promise<void>[] = []
    const judge = async (one: Buffer) => {
      const wrong = wrongForDeformed(one, await exchanged(one, 1, REQUEST_MS + SPARE_MS))
      violations.push(...wrong.map((what) => `${what}: ${JSON.stringify(one.toString('latin1')).slice(0, 600)}`))
    }
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (const one of next) {
          judged.push(judge(one))
          await Promise.race([judged.at(-1), pause(FIRST_LOOK_MS)])
        }
      }),
    )
    await Promise.all(judged)
    violations.push(...(await wrongForNext()))
    verdict({ promise: 'P18', tried: 'requests deformed by chance on raw sockets', n: count, violations, seed: SEED })
  })

  test('megabytes and bombs are refused', async () => {
    const violations = await flooded(floods)
    const tried = 'bodies of 10 MB, and of 100 MB compressed, to operations that write'
    verdict({ promise: 'P18', tried, n: floods.length, violations, seed: SEED })
  })

  test('nothing of all this was kept, and nobody was held up', async () => {
    const silence = service.longestSilence()
    const after = await service.residentMb(15_000, before + MOST_GROWTH_MB)
    const violations = [
      ...(service.cluster.services[0].isGone() ? ['the service is gone'] : []),
      ...(after - before > MOST_GROWTH_MB ? [`memory grew from ${before.toFixed()} to ${after.toFixed()} MB`] : []),
      ...(silence > LIMIT_MS ? [`nobody was answered for ${silence.toFixed()} ms`] : []),
    ]
    const tried = `memory (${(after - before).toFixed()} MB more) and pulse (${silence.toFixed()} ms at most) through all of it`
    verdict({ promise: 'P18', tried, n: 1, violations, seed: SEED })
  })
}, 300_000)
