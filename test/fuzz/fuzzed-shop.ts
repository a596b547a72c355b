import { sql } from 'kysely'
import { audit } from '#src/audit/audit.ts'
import { type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { PASSWORD } from '../contexts/users/people.ts'
import { SEED } from '../kit/chaos.ts'
import { type Ask, asksBy, curlOf, type Headers, type MakeAsk } from './asks.ts'
import { type Document, type Operation, operationsOf, type Resolve, resolverOf } from './document.ts'
import { type Fitting, fittingBy } from './fitting.ts'
import { type Judge, judgeOf, LIMIT_MS } from './judge.ts'
import { type Learned, makeLearned } from './learned.ts'
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
  /** How many rows each table of the books has, and which transaction wrote the youngest; sessions and receipts are none. */
  readonly books: () => Promise<unknown>
  /** What the audit has to say, once everything that is due was done. */
  readonly auditFindings: () => Promise<string[]>
}
export type Outcome = { readonly status: number; readonly body: any; readonly wrong: readonly string[] }

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
  const lives = async (as: Headers) => (await buying.send('GET', '/v1/users/me', undefined, { ...as })).status === 200
  return {
    ...{ buying, resolve, judge, learned, fitting },
    operations: operationsOf(document),
    makeAsk: asksBy(fitting, learned),
    people: async () => {
      if (!(await lives(customer))) {
        customers += 1
        const { body } = await buying.people.customer(`customer-${SEED}-${customers}@example.com`)
        customer = { authorization: `Bearer ${body.accessToken}` }
      }
      const owner = await buying.asOwner()
      return [(await lives(owner)) ? owner : await buying.asOwner({ anew: true }), customer, {}]
    },
    send: async (operation, ask, why, expected) => {
      const first = await answerOf(ask)
      // Neighbours on the same machine may have held the database up, but not twice.
      const answer = first.ms < LIMIT_MS ? first : { ...first, ms: (await answerOf(ask)).ms }
      const wrong = judge.wrongIn(operation, answer)
      if (expected && !expected.includes(answer.status)) wrong.push(`is not ${expected.join(' or ')}`)
      if (answer.status < 300 && answer.body.startsWith('{'))
        learned.hear(JSON.parse(answer.body), answer.headers.etag as string | undefined)
      const told = `${answer.status} ${answer.body.slice(0, 300)}`
      return {
        status: answer.status,
        body: answer.body.startsWith('{') ? JSON.parse(answer.body) : undefined,
        wrong: wrong.map((what) => `${operation.operationId}, ${why}: ${what}: ${told}\n  ${curlOf(ask)}`),
      }
    },
    books: () => booksOf(buying),
    auditFindings: async () => {
      await shop.app.settle()
      const { database, consumers } = shop.app
      const findings = await audit(database.db, { consumers, now: shop.clock.now, all: true })
      return findings.flatMap(({ id, violations }) => violations.map((one) => `${id}: ${JSON.stringify(one)}`))
    },
  }
}

/** Products, carts, orders that wait, are paid and are cancelled, staff, and what the document says of them all. */
async function furnish(buying: Buying): Promise<{ document: Document; learned: Learned }> {
  const learned = makeLearned({
    sku: ['MUG-1'],
    method: ['sandbox'],
    token: ['tok_ok', 'tok_declined', 'tok_error'],
    currency: ['USD', 'EUR'],
    countryCode: ['GB', 'US'],
    shippingMethod: ['standard'],
    location: ['main'],
    idOrHandle: [],
    handle: [],
    name: [],
    roles: ['support', 'catalogue'],
    cursor: [],
    nextCursor: [],
    refreshToken: [],
    email: ['ann@example.com'],
    password: [PASSWORD],
    currentPassword: [PASSWORD],
    provider: ['sandbox'],
  })
  const variants = [await buying.aVariant({ sku: 'MUG-1', onHand: 900 }), await buying.aVariant({ onHand: 900 })]
  const goods = variants.map((variantId) => ({ variantId, quantity: 2 }))
  for (const isPaid of [false, true, true]) {
    const order = await buying.placed(await buying.aCart(goods))
    learned.hear(order.body)
    if (isPaid) await buying.pay(order)
  }
  await buying.shop.app.settle()
  await buying.staff('support')
  for (const { handle } of (await buying.send('GET', '/v1/products')).body.data) learned.hear({ idOrHandle: handle })
  const { id, token } = await buying.aCart(goods)
  learned.hear({ id, token })
  const owner = await buying.asOwner()
  for (const path of ['/v1/users', '/v1/products', '/v1/payments', '/v1/orders', '/v1/roles', '/v1/auth/sessions'])
    learned.hear((await buying.send('GET', path, undefined, owner)).body)
  return { document: (await buying.send('GET', '/openapi.json')).body, learned }
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
