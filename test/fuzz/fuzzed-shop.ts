import { sql } from 'kysely'
import { audit } from '#src/audit/audit.ts'
import { type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { bearer } from '../contexts/users/people.ts'
import { type Ask, asksBy, curlOf, type Headers, type MakeAsk, withFreshKey } from './asks.ts'
import { type Operation, operationsOf, type Resolve, resolverOf } from './document.ts'
import { type Fitting, fittingBy } from './fitting.ts'
import { aBuyerComes, furnish, type Step } from './furnish.ts'
import { type Judge, judgeOf, LIMIT_MS } from './judge.ts'
import type { Learned } from './learned.ts'
import { starvedMs } from './starved.ts'

/** A shop in this process with something of everything in it, and what it takes to ask it whatever its document allows. */
export type FuzzedShop = {
  readonly buying: Buying
  readonly operations: readonly Operation[]
  readonly resolve: Resolve
  readonly judge: Judge
  readonly learned: Learned
  readonly fitting: Fitting
  readonly makeAsk: MakeAsk
  /** The headers of the owner, a customer and a guest; whoever was logged out or erased by then comes again. */
  readonly people: () => Promise<readonly [owner: Headers, customer: Headers, guest: Headers]>
  /** Sends it; resolves with the status and what is wrong with the answer, the request as a command in it. */
  readonly send: (operation: Operation, ask: Ask, why: string, expected?: readonly number[]) => Promise<Outcome>
  readonly aBuyerComes: (upTo: Step) => Promise<void>
  /** How many rows each table of the books has, and which transaction wrote the youngest; sessions and receipts are none. */
  readonly books: () => Promise<unknown>
  /** What the audit has to say, once everything that is due was done. */
  readonly auditFindings: () => Promise<string[]>
}
export type Outcome = {
  readonly status: number
  readonly ms: number
  readonly told: string
  readonly wrong: readonly string[]
}

export async function openFuzzedShop(): Promise<FuzzedShop> {
  const buying = await openForBuying()
  const { shop } = buying
  const { document, learned } = await furnish(buying)
  const resolve = resolverOf(document)
  const judge = judgeOf(document)
  const fitting = fittingBy(resolve, learned)

  const answerOf = async ({ method, url, headers, payload }: Ask) => {
    const [start, starved] = [performance.now(), starvedMs()]
    const {
      statusCode: status,
      headers: got,
      body,
    } = await shop.app.http.inject({
      method: method as 'GET',
      url,
      headers,
      ...(payload === undefined ? {} : { payload }),
    })
    return { status, headers: got, body, ms: performance.now() - start - (starvedMs() - starved) }
  }
  let customers = 0
  let customer: Headers = {}
  /** The customer again, who was logged out or whose time is over; a new one, when their account is gone or has another password. */
  const customerAgain = async (): Promise<Headers> => {
    const { logIn, customer: register } = buying.people
    const known = await logIn(`customer-${customers}@example.com`)
    if (known.status !== 200) customers += 1
    return bearer(known.status === 200 ? known : await register(`customer-${customers}@example.com`))
  }
  const lives = async (as: Headers) => (await buying.send('GET', '/v1/users/me', undefined, { ...as })).status === 200
  return {
    ...{ buying, resolve, judge, learned, fitting },
    operations: operationsOf(document),
    makeAsk: asksBy(fitting, learned),
    people: async () => {
      if (!(await lives(customer))) customer = await customerAgain()
      const owner = await buying.asOwner()
      return [(await lives(owner)) ? owner : await buying.asOwner({ anew: true }), customer, {}]
    },
    send: async (operation, ask, why, expected) => {
      const first = await answerOf(ask)
      // Neighbours on the same machine may have held the database up, but not twice.
      const again = first.ms < LIMIT_MS ? undefined : await answerOf(withFreshKey(ask))
      const answer = { ...first, ms: again?.ms ?? first.ms }
      const wrong = judge.wrongIn(operation, answer)
      if (again) wrong.push(...judge.wrongIn(operation, again).map((what) => `again: ${again.status} ${what}`))
      if (expected && !expected.includes(answer.status)) wrong.push(`is not ${expected.join(' or ')}`)
      for (const { status, headers, body } of again ? [answer, again] : [answer])
        if (status < 300 && body.startsWith('{')) learned.hear(JSON.parse(body), headers.etag as string | undefined)
      const told = `${answer.status} ${answer.body.slice(0, 300)}`
      const says = (what: string) => `${operation.operationId}, ${why}: ${what}: ${told}\n  ${curlOf(ask)}`
      return { status: answer.status, ms: answer.ms, told, wrong: wrong.map(says) }
    },
    aBuyerComes: (upTo) => aBuyerComes(buying, learned, upTo),
    books: () => booksOf(buying),
    auditFindings: async () => {
      await shop.app.settle()
      const { database, consumers } = shop.app
      const findings = await audit(database.db, { consumers, now: shop.clock.now, all: true })
      return findings.flatMap(({ id, violations }) => violations.map((one) => `${id}: ${JSON.stringify(one)}`))
    },
  }
}

async function booksOf(buying: Buying): Promise<unknown> {
  const tables = await buying.rows(sql<{ name: string }>`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_schema in ('users', 'catalog', 'orders', 'payments', 'platform') and table_type = 'BASE TABLE'
      and table_name not in ('sessions', 'receipts') order by 1`)
  const counted = tables.map(
    ({ name }) => sql`select ${name} as name, count(*), max(xmin::text::bigint) from ${sql.raw(name)}`,
  )
  return buying.rows(sql`${sql.join(counted, sql` union all `)}`)
}
