import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import { report } from '#src/cli/checkout.ts'
import { areWaiting } from '../../kit/locks.ts'
import { type Buying, type Guest, openForBuying } from './buying.ts'

let buying: Buying
let mug: string
beforeAll(async () => {
  buying = await openForBuying()
  mug = await buying.aVariant({ onHand: 1000 })
})
afterAll(() => buying.close())

const turn = (paused: boolean, reason: string | null = null) =>
  buying.shop.app.perform({ actor: systemActor, requestId: 'stoa checkout' }, (work) =>
    buying.shop.app.contexts.orders.switchCheckout(work, { paused, reason, by: 'ann' }),
  )
const aCart = () => buying.aCart([{ variantId: mug, quantity: 1 }])
const orders = async () =>
  Number((await buying.rows(sql<{ n: number }>`select count(*) as n from orders.orders`))[0]?.n)
const signal = () => {
  const { promise: given, resolve: give } = Promise.withResolvers<void>()
  return { given, give }
}
const storeSays = async () => {
  buying.shop.clock.advance(0.1)
  return (await buying.send('GET', '/v1/store')).body.checkout
}

describe('a paused checkout', () => {
  it('is paused and resumed by `stoa checkout`', async () => {
    const { shop, sandbox } = buying
    const env = {
      ...{ ...process.env, NODE_ENV: 'test', LOG_LEVEL: 'error', STOA_DATA_DIR: shop.app.config.dataDir },
      ...{ DATABASE_URL: shop.databaseUrl, DATABASE_OWNER_URL: shop.ownerUrl, SANDBOX_URL: sandbox.url },
    }
    const bin = fileURLToPath(new URL('../../../bin/stoa', import.meta.url))
    const stoa = async (...args: string[]) => (await promisify(execFile)(bin, ['checkout', ...args], { env })).stdout
    expect(await stoa('pause', '--reason', 'a wrong price')).toMatch(/^checkout is paused since .*: a wrong price\n$/)
    expect(JSON.parse(await stoa('--json'))).toMatchObject({ paused: true, reason: 'a wrong price' })
    expect(JSON.parse(await stoa('resume', '--json'))).toMatchObject({ paused: false, reason: null })
    expect(await stoa()).toMatch(/^checkout is open since /)
  }, 60_000)

  it('takes no order, and everything else goes on', async () => {
    const [before, cart] = [await buying.anOrder(), await aCart()]
    expect(await storeSays()).toBe('open')
    expect(report(await turn(true, 'a wrong price'))).toMatch(/^checkout is paused since .*Z, by ann: a wrong price$/)
    const refused = await buying.order(cart)
    expect(refused).toMatchObject({ status: 503, body: { code: 'orders.checkout-paused' } })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(await storeSays()).toBe('paused')
    expect((await buying.send('GET', '/v1/products')).status).toBe(200)
    expect((await aCart()).id).toMatch(/^cart_/)
    expect((await buying.pay(before)).body.status).toBe('succeeded')
    await buying.shop.app.settle()
    expect((await buying.read(before)).body.status).toBe('paid')
    const again = await buying.order(before.cart)
    expect(again).toMatchObject({ status: 409, body: { code: 'orders.already-placed', order: { id: before.id } } })
    expect((await buying.order({ id: cart.id, token: '', headers: {} })).body.code).toBe('carts.not-found')
    await turn(false)
    expect((await buying.order(cart)).status).toBe(201)
    expect(await storeSays()).toBe('open')
  })

  it('shows in the metrics and in the audit log, with who did it', async () => {
    await turn(true, 'a wrong price')
    const { text } = await buying.send('GET', '/metrics')
    expect(text).toMatch(/^stoa_checkout_paused 1$/m)
    await turn(false)
    const { body } = await buying.send('GET', '/v1/audit-log?subject=checkout', undefined, await buying.asOwner())
    expect(body.data.slice(0, 2)).toMatchObject([
      {
        action: 'orders.resume-checkout',
        before: { paused: true, reason: 'a wrong price' },
        after: { paused: false, osUser: 'ann' },
      },
      { action: 'orders.pause-checkout', before: { paused: false }, after: { paused: true, osUser: 'ann' } },
    ])
  })

  it('once it is paused no order is placed any more; those that began before have ended', async () => {
    for (let round = 0; round < 5; round += 1) {
      const carts: Guest[] = await Promise.all(Array.from({ length: 30 }, aCart))
      const placing = carts.map((cart) => buying.order(cart))
      await new Promise((resolve) => setTimeout(resolve, 10 * round))
      await turn(true)
      const after = await orders()
      const statuses = (await Promise.all(placing)).map(({ status }) => status)
      expect(await orders()).toBe(after)
      for (const status of statuses) expect([201, 503]).toContain(status)
      await turn(false)
    }
  })

  it('a pause waits for an order that is being placed, and is not overtaken by those that come after', async () => {
    const { database } = buying.shop.app
    const [first, second] = [await aCart(), await aCart()]
    const [held, hold] = [signal(), signal()]
    // The stock row is locked: the first order stops there, within its transaction.
    const holder = database.db.transaction().execute(async (tx) => {
      await sql`select 1 from catalog.stock where variant_id = ${mug} for update`.execute(tx)
      held.give()
      await hold.given
    })
    await held.given
    const placing = buying.order(first)
    await areWaiting(buying.rows, 1)
    let paused = false
    const pausing = turn(true).then(() => {
      paused = true
    })
    await areWaiting(buying.rows, 2)
    const late = buying.order(second)
    await areWaiting(buying.rows, 3)
    expect(paused).toBe(false)
    hold.give()
    await Promise.all([holder, pausing])
    expect((await placing).status).toBe(201)
    expect(await late).toMatchObject({ status: 503, body: { code: 'orders.checkout-paused' } })
    await turn(false)
  })
})
