import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RawBuilder, sql } from 'kysely'
import { type CatalogContext, catalog } from '#contexts/catalog/index.ts'
import { FIRST_ROLES, FIXED_ROLES } from '#contexts/users/domain/roles.ts'
import { makePerform } from '#platform/db/perform.ts'
import { openDatabase } from '#platform/db/pool.ts'
import { systemActor } from '#platform/db/system.ts'
import type { Actor, Work } from '#platform/db/work.ts'
import { makeAnswer } from '#platform/http/answer.ts'
import { originsOf } from '#platform/http/origins.ts'
import { allRoutes } from '#platform/http/routes.ts'
import { makeServer } from '#platform/http/server.ts'
import { newId } from '#platform/ids.ts'
import { unwatched } from '#platform/resilience/call-watch.ts'
import { makeGuestTokens } from '#platform/security/guest-tokens.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { readConfig } from '#src/config.ts'
import { expectToFit, validateEveryAnswer } from '../../kit/answers.ts'
import { testDatabase } from '../../kit/database.ts'
import { fixedEncryption } from '../../kit/key-ring.ts'
import { noLimits } from '../../kit/limits.ts'

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
type Role = 'guest' | 'customer' | 'support' | 'catalogue'
export type Sent = { status: number; body: any; headers: Record<string, string | string[] | number | undefined> }
export type TestCatalogue = Awaited<ReturnType<typeof testCatalogue>>

/** The catalogue alone on a database of its own, behind the real server; `authorization: <role>` says who asks. */
export async function testCatalogue() {
  const database = await testDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-catalogue-'))
  const config = readConfig({ NODE_ENV: 'test', STOA_DATA_DIR: dataDir, PORT: '0', DRAIN_MS: '0' })
  const log = makeLog({ level: 'error', sync: true })
  const pool = openDatabase({
    url: database.url,
    maxConnections: 20,
    connectTimeoutMs: 5_000,
    onIdleError: () => {},
  })
  const { db } = pool
  const clock = () => new Date()
  const encryption = fixedEncryption()
  const perform = makePerform(
    db,
    clock,
    (plain) => Buffer.from(plain),
    () => {},
  )
  const guestTokens = makeGuestTokens(config.tokenSecrets)
  const idle = { wake() {}, start() {}, stop: async () => {} }
  const platform = {
    db,
    perform,
    clock,
    log,
    encryption,
    guestTokens,
    mail: { send: async () => {}, close: async () => {} },
    limits: noLimits(),
    origins: originsOf(config),
    watchCalls: () => unwatched,
    pump: () => idle,
    ...makeAnswer(db, perform, encryption),
  }
  const context: CatalogContext = catalog(platform, config)
  const metrics = { observe() {}, shed() {} }
  const http = await makeServer({
    ...config,
    log,
    metrics,
    waitedMs: pool.waitedMs,
    limits: noLimits(),
    origins: platform.origins,
    authenticate: async ({ authorization: role }) => actorOf((role ?? 'guest') as Role),
  })
  await http.register(context.routes, { prefix: '/v1' })
  await http.ready()
  validateEveryAnswer()

  const run = <T>(command: (work: Work) => Promise<T>): Promise<T> =>
    perform({ actor: systemActor, requestId: 'test' }, command)
  const rows = async <Row>(query: RawBuilder<Row>): Promise<Row[]> => (await query.execute(db)).rows
  async function send(
    method: Method,
    url: string,
    body?: object | string,
    headers: Record<string, string> = {},
  ): Promise<Sent> {
    const key = method === 'GET' ? {} : { 'idempotency-key': randomUUID() }
    const type = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
    const answer = await http.inject({
      method,
      url,
      headers: { ...key, ...type, ...headers },
      ...(body ? { payload: body } : {}),
    })
    const json = /json/.test(String(answer.headers['content-type'])) ? answer.json() : undefined
    const route = allRoutes(http).find(({ url: pattern, method: m }) => m === method && pathFits(pattern, url))
    if (answer.statusCode < 300 && json) expectToFit(route?.schema?.response, answer.statusCode, json)
    return { status: answer.statusCode, body: json, headers: answer.headers }
  }
  return {
    ...{ context, http, db, run, rows, send, statements: pool.statements },
    /** Sends as a member of staff who keeps the catalogue. */
    staff: (method: Method, url: string, body?: object | string, headers: Record<string, string> = {}) =>
      send(method, url, body, { authorization: 'catalogue', ...headers }),
    close: async () => {
      await http.close()
      await pool.close()
      await database.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

const STAFF_ID = newId('usr')
const actorOf = (role: Role): Actor => ({
  kind: role === 'guest' || role === 'customer' ? role : 'staff',
  userId: role === 'guest' ? null : STAFF_ID,
  address: null,
  permissions: new Set([
    ...FIXED_ROLES[role === 'guest' ? role : 'customer'].permissions,
    ...(role === 'support' || role === 'catalogue' ? FIRST_ROLES[role].permissions : []),
  ]),
})

const pathFits = (pattern: string, url: string): boolean =>
  new RegExp(`^${pattern.replace(/:\w+/g, '[^/]+')}$`).test(url.split('?', 1)[0] ?? '')

/** A mug for sale in one size, 10 on hand, 12.00 USD; `over` replaces what a test cares about. */
export const aMug = (over: Record<string, unknown> = {}, variant: Record<string, unknown> = {}) => ({
  title: 'Mug',
  handle: `mug-${randomUUID().slice(0, 8)}`,
  status: 'active',
  variants: [{ prices: [{ currency: 'USD', amountMinor: 1200 }], onHand: 10, ...variant }],
  ...over,
})

/** Creates a product through the API; what comes back is its view. */
export async function create(catalogue: TestCatalogue, product: object): Promise<Sent['body'] & { etag: string }> {
  const { status, body, headers } = await catalogue.staff('POST', '/v1/products', product)
  if (status !== 201) throw new Error(JSON.stringify(body))
  return { ...body, etag: headers.etag }
}

/** The stock of a variant as the table has it. */
export async function stockOf(catalogue: TestCatalogue, variantId: string) {
  const [row] = await catalogue.rows(sql<{ on_hand: number; held: number; committed: number; shortage: number }>`
    select on_hand, held, committed, shortage from catalog.stock where variant_id = ${variantId}`)
  return row!
}

/** O1: the counters are the sums of the movements, and of what orders hold. */
export async function unbalanced(catalogue: TestCatalogue) {
  return catalogue.rows(sql`
    select s.variant_id, s.on_hand, s.held, s.committed, m.on_hand as moved, m.held as moved_held, m.committed as moved_committed,
      h.held as live, h.committed as live_committed
    from catalog.stock s
    cross join lateral (select coalesce(sum(on_hand_change), 0) as on_hand, coalesce(sum(held_change), 0) as held,
      coalesce(sum(committed_change), 0) as committed
      from catalog.movements m where m.variant_id = s.variant_id and m.location = s.location) m
    cross join lateral (select coalesce(sum(held), 0) as held, coalesce(sum(committed), 0) as committed
      from catalog.holds h where h.variant_id = s.variant_id and h.location = s.location) h
    where (s.on_hand, s.held, s.committed) is distinct from (m.on_hand, m.held, m.committed)
      or (s.held, s.committed) is distinct from (h.held, h.committed)`)
}
