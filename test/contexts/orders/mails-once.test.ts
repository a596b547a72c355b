import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { makeLog } from '#platform/telemetry/log.ts'
import { type App, buildApp } from '../../../src/app.ts'
import { enableFailpoints } from '../../kit/failpoints.ts'
import { type Message, openSmtp, type Smtp } from '../../kit/smtp.ts'
import { sqlOf } from '../users/sql.ts'
import { type Buying, openForBuying, type Placed } from './buying.ts'

/** One mail for an event, whatever comes twice, breaks or is done by two processes at once: over a real mail server. */
let smtp: Smtp
let buying: Buying
/** A second process: it remembers nothing of what the first one has sent. */
let other: App
beforeAll(async () => {
  smtp = await openSmtp({ user: 'stoa', pass: 'secret' })
  buying = await openForBuying({ SMTP_URL: smtp.url })
  const { app, databaseUrl, clock } = buying.shop
  other = await buildApp(app.config, { databaseUrl, clock: () => clock.now, log: makeLog({ level: 'fatal' }) })
})
afterAll(async () => {
  await other?.close()
  await buying?.close()
  await smtp?.close()
})
beforeEach(async () => {
  await settled()
  smtp.refused.clear()
})
afterEach(() => enableFailpoints(''))

const settled = async () => {
  await buying.shop.app.settle()
  await buying.shop.app.runJobs()
}
const sql = <Row extends object = object>(statement: string, ...values: unknown[]) =>
  sqlOf<Row>(buying.shop, statement, ...values)
/** Every job that waits for its next try is due. */
const hurry = () => sql('update graphile_worker._private_jobs set run_at = now() where attempts < max_attempts')
const mailsTo = (email: string): Message[] => smtp.received.filter(({ recipients }) => recipients.includes(email))
const ids = (email: string) => mailsTo(email).map(({ headers }) => headers['message-id'])

async function order(): Promise<Placed & { email: string }> {
  const email = `${randomUUID()}@example.com`
  const items = [{ variantId: await buying.aVariant(), quantity: 1 }]
  return { ...(await buying.placed(await buying.aCart(items, { email }))), email }
}
const jobsOf = ({ id }: Placed) =>
  sql<{ payload: object }>(
    `select payload from graphile_worker._private_jobs where payload ->> 'orderId' = $1 order by id`,
    id,
  )
/** The jobs of an order, queued again under no key, so that nothing but the record keeps them apart. */
async function again(order: Placed, payloads: readonly { payload: object }[], times = 1): Promise<void> {
  expect(payloads.length, order.id).toBeGreaterThan(0)
  for (let i = 0; i < times; i += 1)
    for (const { payload } of payloads)
      await sql(`select from graphile_worker.add_job('orders.send-mail', $1::json)`, JSON.stringify(payload))
}

describe('a mail is sent once', () => {
  it('when its job is run twice, here and in another process', async () => {
    const one = await order()
    await buying.shop.app.settle()
    const jobs = await jobsOf(one)
    await buying.shop.app.runJobs()
    await again(one, jobs)
    await other.runJobs()
    await again(one, jobs)
    await buying.shop.app.runJobs()
    expect(mailsTo(one.email)).toHaveLength(1)
    expect(await jobsOf(one)).toEqual([])
  })

  it('when its event is consumed twice, as after a replay', async () => {
    const one = await order()
    await settled()
    await sql(`delete from platform.consumed where consumer = 'orders.write-mail'
      and event_id in (select id from platform.events where subject = '${one.id}')`)
    await sql(`update platform.events set published_at = null where subject = $1`, one.id)
    await other.settle()
    expect(await jobsOf(one)).toHaveLength(1)
    await other.runJobs()
    expect(mailsTo(one.email)).toHaveLength(1)
  })

  it('when two processes are at it at once', async () => {
    const orders = await Promise.all(Array.from({ length: 6 }, order))
    await buying.shop.app.settle()
    for (const one of orders) await again(one, await jobsOf(one), 3)
    for (let i = 0; i < 3; i += 1) {
      await Promise.all([buying.shop.app, other, buying.shop.app, other].map((app) => app.runJobs()))
      await hurry()
    }
    expect(orders.map(({ email }) => mailsTo(email).length)).toEqual([1, 1, 1, 1, 1, 1])
    for (const one of orders) expect(await jobsOf(one)).toEqual([])
  })

  it('about payments that are declined at the same time', async () => {
    const one = await order()
    await settled()
    for (let i = 0; i < 3; i += 1) await buying.pay(one, 'tok_declined')
    await buying.shop.app.settle()
    expect(await jobsOf(one)).toHaveLength(3)
    for (let i = 0; i < 3; i += 1) {
      await Promise.all([buying.shop.app.runJobs(), other.runJobs()])
      await hurry()
    }
    expect(mailsTo(one.email).map(({ headers }) => headers.subject)).toEqual([
      expect.stringMatching(/^Your order/),
      expect.stringMatching(/did not work$/),
    ])
  })
})

describe('a mail that could not be', () => {
  it('recorded after it was sent may come twice, with the same Message-ID', async () => {
    const one = await order()
    await buying.shop.app.settle()
    enableFailpoints('order.mailed=error')
    await other.runJobs()
    enableFailpoints('')
    await hurry()
    await buying.shop.app.runJobs()
    expect(mailsTo(one.email)).toHaveLength(1)
    buying.shop.clock.advance(4)
    await hurry()
    await buying.shop.app.runJobs()
    const [first, ...more] = ids(one.email)
    expect(first).toBeDefined()
    expect(more).toEqual([first])
    expect(await jobsOf(one)).toEqual([])
  })

  it('sent is tried again and then parked with its reason, without the address; orders go on', async () => {
    const one = await order()
    smtp.refused.set(one.email, 550)
    for (let i = 0; i < 9; i += 1) {
      await settled()
      await hurry()
    }
    const failed = await sql<{ last_error: string; payload: object; attempts: number }>(
      `select * from graphile_worker._private_jobs where attempts = max_attempts and payload ->> 'orderId' = $1`,
      one.id,
    )
    expect(failed).toEqual([
      expect.objectContaining({
        attempts: 8,
        last_error: expect.stringMatching(/RCPT TO: 550\) \(orders:\d+:placed\)/),
      }),
    ])
    expect(JSON.stringify(failed)).not.toContain('@')
    expect((await buying.pay(one)).body.status).toBe('succeeded')
    smtp.refused.clear()
    await settled()
    expect((await buying.read(one)).body.status).toBe('paid')
    expect(mailsTo(one.email)).toHaveLength(1)
    await sql('update graphile_worker._private_jobs set attempts = 0')
    await hurry()
    await buying.shop.app.runJobs()
    expect(mailsTo(one.email)).toHaveLength(2)
  })

  it('told to the events, jobs and records: they hold no address', async () => {
    const one = await order()
    await buying.shop.app.settle()
    const [{ all } = { all: '' }] = await sql<{ all: string }>(
      `select concat(
         (select json_agg(e) from platform.events e where subject = $1),
         (select json_agg(j) from graphile_worker._private_jobs j), (select json_agg(m) from orders.mails m)) as all`,
      one.id,
    )
    expect(all).toContain(one.id)
    expect(all).not.toContain('@example.com')
  })
})
