import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import { readRegistry } from '#platform/security/sealed-columns.ts'
import { auditShop } from '../../src/cli/audit.ts'
import { ADDRESS, type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { tellOf } from '../contexts/orders/unheard.ts'
import { bearer } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import type { Sent } from '../kit/shop.ts'
import { verdict } from '../kit/verdict.ts'

/** P25: erase and export are complete, the books stay, and a restored backup forgets again. */
let buying: Buying
let folder: string
beforeAll(async () => {
  buying = await openForBuying()
  folder = mkdtempSync(join(tmpdir(), 'stoa-privacy-'))
})
afterAll(async () => {
  await buying?.close()
  rmSync(folder, { recursive: true, force: true })
})

const address = (who: string) => ({ ...ADDRESS, name: `${who} Canary`, line1: `${who} Street`, phone: '+447700900001' })

/** Somebody with a shipped order, one as a guest with the same e-mail, a cart, a note about them: all with canaries. */
async function aLife(who: string) {
  const email = `${who.toLowerCase()}@canary.example`
  const session = await buying.people.customer(email)
  await sqlOf(buying.shop, 'update users.users set email_verified_at = now() where id = $1', session.body.user.id)
  await buying.send('POST', '/v1/users/me/addresses', address(who), bearer(session))
  await buying.send('POST', '/v1/users/me/email', { email: `new-${email}` }, bearer(session))
  await buying.people.logIn(email, `${who} is not it`)
  const variantId = await buying.aVariant({ onHand: 50 })
  const details = {
    email,
    shippingAddress: address(who),
    billingAddress: address(who),
    note: `${who} rings twice`,
    metadata: { engraving: `${who} forever` },
  }
  const buy = async (headers: Record<string, string>) => {
    const order = await buying.placed(
      await buying.aCart([{ variantId, quantity: 2, metadata: { engraving: `Of ${who}` } }], details, headers),
    )
    await buying.pay(order)
    await buying.shop.app.settle()
    return order
  }
  const orders = [await buy(bearer(session)), await buy({})]
  const owner = await buying.asOwner()
  await buying.send('POST', `/v1/orders/${orders[0]!.id}/notes`, { text: `${who} is a friend` }, owner)
  await buying.aCart([{ variantId, quantity: 1 }], details, bearer(session))
  const ship = async () => {
    const parcel = { carrier: 'Post', trackingNumber: `${who}-4711` }
    for (const { id, body } of orders) {
      await buying.send('POST', `/v1/orders/${id}/shipments`, parcel, owner)
      const part = { amount: { amountMinor: 100, currency: 'USD' }, reason: `${who} was unhappy` }
      await buying.send('POST', `/v1/payments/${body.payment.id}/refunds`, part, owner)
      const [line] = body.items
      const back = { lines: [{ itemId: line.id, quantity: 1, restock: false }], reason: `${who} did not like it` }
      await buying.send('POST', `/v1/orders/${id}/returns`, back, owner)
    }
    for (const { body } of orders) {
      const there = buying.sandbox.ledger().payments.find(({ reference }) => reference === body.payment.id)
      await tellOf(buying, there?.id ?? '', { payer: `${who} Canary` })
    }
    await buying.shop.app.settle()
  }
  return { who, email, session, orders, ship, id: session.body.user.id as string }
}
type Life = Awaited<ReturnType<typeof aLife>>

const close = (session: Sent) => buying.send('DELETE', '/v1/users/me', undefined, bearer(session))

/** Every row of every table as text, and every sealed value opened: the columns say themselves which are sealed. */
async function allThatIsKept(): Promise<string> {
  const { encryption, database } = buying.shop.app
  const texts: string[] = []
  const tables = await sqlOf<{ name: string }>(
    buying.shop,
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('users', 'catalog', 'orders', 'payments', 'platform', 'graphile_worker')`,
  )
  for (const { name } of tables)
    for (const { whole } of await sqlOf<{ whole: string }>(buying.shop, `select t::text as whole from ${name} t`))
      texts.push(whole)
  const { sealed } = await readRegistry(database.db)
  expect(sealed.length).toBeGreaterThan(8)
  for (const { schema, table, columns } of sealed)
    for (const row of await sqlOf<Record<string, any>>(buying.shop, `select t.* from ${schema}.${table} t`))
      for (const { column, row: bound, written } of columns) {
        const of = written === 'text' ? String(row[bound]) : (row[bound] as Buffer).toString(written)
        if (row[column]) texts.push(encryption.open(row[column], { table: `${schema}.${table}`, column, row: of }))
      }
  return texts.join('\n').toLowerCase()
}

/** What the books say, without what tells whose they are. */
const books = () =>
  sqlOf(
    buying.shop,
    `select (select json_agg(o order by o.id) from (select id, number, status, payment_status, subtotal_minor, tax_minor,
        total_minor, refunded_minor from orders.orders) o) as orders,
      (select json_agg(l order by l.order_id, l.position) from (select order_id, position, sku, title, quantity, shipped,
        total_minor, tax_minor from orders.order_lines) l) as lines,
      (select json_agg(l order by l.id) from payments.ledger l) as ledger,
      (select json_agg(s order by s.variant_id) from catalog.stock s) as stock`,
  )

const isKept = (kept: string, canaries: readonly string[]): string[] =>
  canaries.filter((canary) => kept.includes(canary.toLowerCase())).map((canary) => `${canary} is still there`)

const expectForgotten = async ({ session, email, orders, id }: Life) => {
  expect((await buying.people.me(session)).status).toBe(401)
  expect((await buying.people.logIn(email)).status).toBe(401)
  const owner = await buying.asOwner()
  expect((await buying.send('GET', `/v1/users/${id}`, undefined, owner)).status).toBe(404)
  const seen = await buying.send('GET', `/v1/orders/${orders[0]!.id}`, undefined, owner)
  expect(seen.body).toMatchObject({
    status: 'shipped',
    email: 'erased@erased.invalid',
    shippingAddress: null,
    note: null,
  })
  expect((await buying.send('GET', `/v1/orders/${orders[1]!.id}`, undefined, orders[1]!.headers)).status).toBe(404)
}

describe('Privacy', () => {
  test('P25: the export is one JSON archive of everything', async () => {
    const life = await aLife('Exporta')
    const { status, body, headers } = await buying.send('GET', '/v1/users/me/export', undefined, bearer(life.session))
    expect(status).toBe(200)
    expect(headers['content-disposition']).toBe(`attachment; filename="${life.id}.json"`)
    expect(body.account).toMatchObject({ id: life.id, email: life.email, name: 'Ann Lee', roles: ['customer'] })
    expect(body.orders.map(({ id }: { id: string }) => id).sort()).toEqual(life.orders.map(({ id }) => id).sort())
    expect(body.orders[0]).toMatchObject({ shippingAddress: address('Exporta'), payment: { status: 'captured' } })
    expect(body.carts).toEqual(expect.arrayContaining([expect.objectContaining({ note: 'Exporta rings twice' })]))
    expect(body.sessions).toHaveLength(1)
    expect(body.activity).toEqual(expect.arrayContaining([expect.objectContaining({ address: '127.0.0.1' })]))
    expect(JSON.stringify(body)).not.toMatch(/password|hash|token|secret/i)
    const wanted = [
      ...['account Exporta@canary', 'addresses Exporta Street', 'addresses +447700900001', 'orders Exporta Canary'],
      ...['orders Exporta Street', 'orders Exporta rings twice', 'orders Exporta forever', 'orders Of Exporta'],
      ...['orders Exporta@canary', 'carts Exporta@canary', 'carts Exporta Street', 'carts Exporta rings twice'],
      ...['carts Exporta forever', 'carts Of Exporta', 'sessions createdAt', 'activity 127.0.0.1'],
    ]
    const left = wanted.filter((words) => {
      const [part = '', ...text] = words.split(' ')
      return !JSON.stringify(body[part]).toLowerCase().includes(text.join(' ').toLowerCase())
    })
    const violations = left.map((words) => `${words} is not in the export`)
    verdict({ promise: 'P25', tried: 'things of a person, looked for in their export', n: wanted.length, violations })
    const owner = await buying.asOwner()
    const byStaff = await buying.send('GET', `/v1/users/${life.id}/export`, undefined, owner)
    expect(byStaff.body.orders).toEqual(body.orders)
    const audited = await buying.send('GET', `/v1/audit-log?subject=${life.id}&action=users.export`, undefined, owner)
    expect(audited.body.data.map(({ actor }: { actor: { kind: string } }) => actor.kind)).toEqual(['staff', 'customer'])
    const missing = await buying.send('GET', '/v1/users/usr_01jd2zq8k5e6v9w3x7y2m4n6p8/export', undefined, owner)
    expect(missing.status).toBe(404)
    const support = await buying.staff('support')
    expect((await buying.send('GET', `/v1/users/${life.id}/export`, undefined, support)).status).toBe(403)
  })

  test('closing the account waits for orders under way, and needs a recent login', async () => {
    const life = await aLife('Underway')
    expect(await close(life.session)).toMatchObject({ status: 409, body: { code: 'orders.under-way' } })
    expect((await buying.people.me(life.session)).status).toBe(200)
    await life.ship()
    buying.shop.clock.advance(11)
    const { body } = await buying.people.refresh(life.session.body.refreshToken)
    const old = { ...life.session, body: { ...life.session.body, ...body } } as Sent
    expect(await close(old)).toMatchObject({ status: 403, body: { code: 'users.reauthentication-required' } })
    expect((await close(await buying.people.logIn(life.email))).status).toBe(204)
  })

  test('P25: erase leaves no canary, and the books as they were', async () => {
    const life = await aLife('Forgetmenot')
    await life.ship()
    await buying.shop.app.settle()
    const before = await books()
    expect(await allThatIsKept()).toContain('forgetmenot street')
    expect((await close(life.session)).status).toBe(204)
    await buying.shop.app.settle()
    const kept = await allThatIsKept()
    await expectForgotten(life)
    const areBooksAsBefore = JSON.stringify(await books()) === JSON.stringify(before)
    const findings = await auditShop(buying.shop.app, true, buying.shop.clock.now)
    expect(findings.filter(({ violations }) => violations.length > 0)).toEqual([])
    const owner = await buying.asOwner()
    const traces = await buying.send('GET', `/v1/audit-log?actorId=${life.id}`, undefined, owner)
    expect(traces.body.data.length).toBeGreaterThan(0)
    const traced = traces.body.data.filter(({ address }: { address: unknown }) => address !== null)
    verdict({
      promise: 'P25',
      tried: 'rows and sealed values searched after an account was closed; the books stay',
      n: kept.split('\n').length,
      violations: [
        ...isKept(kept, [life.who, life.email]),
        ...(areBooksAsBefore ? [] : ['the books have changed']),
        ...traced.map(({ action }: { action: string }) => `${action} still says from which address`),
      ],
    })
    const again = await buying.people.customer(life.email)
    expect(again.status).toBe(200)
    expect(again.body.user.id).not.toBe(life.id)
  })

  test('P25: a restored backup forgets again, whatever state its orders were in', async () => {
    const life = await aLife('Backuppa')
    const { app } = buying.shop
    const copied = [
      'users.users',
      'orders.orders',
      'orders.carts',
      'orders.notes',
      'orders.order_lines',
      'users.erasures',
    ]
    for (const table of copied) await sqlOf(buying.shop, `create table public."${table}" as select * from ${table}`)
    await life.ship()
    expect((await close(life.session)).status).toBe(204)
    const file = join(folder, 'erasures.ndjson')
    const journal = await app.contexts.users.listErasures(app.database.db)
    writeFileSync(file, journal.map((one) => JSON.stringify(one)).join('\n'))
    // The backup comes back: the account, and its orders as they were, paid and not shipped.
    for (const table of ['users.users', 'orders.orders', 'orders.carts', 'orders.notes', 'orders.order_lines'])
      await restore(table)
    await sqlOf(buying.shop, 'delete from users.erasures')
    expect(await allThatIsKept()).toContain('backuppa')
    for (const erasure of journal)
      await app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
        app.contexts.users.repeatErasure(work, erasure),
      )
    const kept = await allThatIsKept()
    verdict({
      promise: 'P25',
      tried: 'rows and sealed values searched after a backup of before came back, and forgot again',
      n: kept.split('\n').length,
      violations: isKept(kept, ['backuppa']),
    })
    // The address is somebody's again by then: what they buy afterwards is none of the erasure's business.
    buying.shop.clock.advance(1)
    const variantId = await buying.aVariant()
    const later = await buying.placed(await buying.aCart([{ variantId, quantity: 1 }], { email: life.email }))
    for (const erasure of journal)
      await app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
        app.contexts.users.repeatErasure(work, erasure),
      )
    expect((await buying.read(later)).body).toMatchObject({ email: life.email, shippingAddress: ADDRESS })
    expect(await app.contexts.users.listErasures(app.database.db)).toEqual(journal)
  })

  /** Overwrites the rows of a table by those of its copy. */
  const restore = async (table: string) => {
    const [{ columns } = { columns: '' }] = await sqlOf<{ columns: string }>(
      buying.shop,
      `select string_agg(quote_ident(attname), ', ') as columns from pg_attribute
       where attrelid = $1::regclass and attnum > 0 and not attisdropped and attidentity = '' and attgenerated = ''`,
      table,
    )
    const key = table === 'orders.order_lines' ? 't.order_id = c.order_id and t.position = c.position' : 't.id = c.id'
    await sqlOf(
      buying.shop,
      `update ${table} t set (${columns}) = (select ${columns
        .split(', ')
        .map((column) => `c.${column}`)
        .join(', ')} from public."${table}" c where ${key})
       where exists (select from public."${table}" c where ${key})`,
    )
  }

  test('staff forget a guest by e-mail, but no colleague and not the last owner', async () => {
    const order = await buying.anOrder()
    const owner = await buying.asOwner()
    const erase = (body: object, headers = owner) => buying.send('POST', '/v1/erasures', body, headers)
    expect(await erase({ email: 'ann@example.com' })).toMatchObject({ status: 409, body: { code: 'orders.under-way' } })
    await buying.send('POST', `/v1/orders/${order.id}/cancellation`, { reason: 'gone' }, owner)
    await buying.shop.app.settle()
    expect(await erase({ email: 'ann@example.com' })).toMatchObject({ status: 200, body: { userId: null } })
    const [row] = await buying.rows(sql<{ note: Buffer | null }>`
      select shipping_address as note from orders.orders where id = ${order.id}`)
    expect(row?.note).toBeNull()
    await buying.staff('support')
    const colleague = await buying.send('GET', '/v1/users?email=support@shop.example', undefined, owner)
    const erased = await erase({ userId: colleague.body.data[0].id })
    expect(erased).toMatchObject({ status: 409, body: { code: 'users.staff-account' } })
    const me = await buying.send('GET', '/v1/users/me', undefined, owner)
    expect(await erase({ userId: me.body.id })).toMatchObject({ status: 409, body: { code: 'users.last-owner' } })
    expect((await erase({ email: 'x@y.example' }, await buying.staff('support'))).status).toBe(403)
    expect((await erase({})).status).toBe(400)
  })

  test('an unverified e-mail reaches nobody else’s orders', async () => {
    const victim = await aLife('Victima')
    await victim.ship()
    const eve = await buying.people.customer('eve@canary.example')
    await sqlOf(
      buying.shop,
      'update orders.orders set email_index = (select email_index from users.users where id = $1) where id = $2',
      eve.body.user.id,
      victim.orders[1]!.id,
    )
    expect((await close(eve)).status).toBe(204)
    const kept = await buying.send('GET', `/v1/orders/${victim.orders[1]!.id}`, undefined, victim.orders[1]!.headers)
    expect(kept.body.shippingAddress.name).toBe('Victima Canary')
  })

  test('carts that nobody touched for 90 days are removed', async () => {
    const cart = await buying.aCart([{ variantId: await buying.aVariant(), quantity: 1 }])
    const forget = buying.shop.app.contexts.orders.tasks['orders.forget-old-carts'] as () => Promise<void>
    const isKept = async () => (await buying.send('GET', `/v1/carts/${cart.id}`, undefined, cart.headers)).status
    const before = buying.shop.clock.now
    buying.shop.clock.advance(89 * 24 * 60)
    await forget()
    expect(await isKept()).toBe(200)
    buying.shop.clock.advance(2 * 24 * 60)
    await forget()
    expect(await isKept()).toBe(404)
    buying.shop.clock.now = before
  })
})
