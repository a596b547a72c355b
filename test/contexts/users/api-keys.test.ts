import fs from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { makeLog } from '#platform/telemetry/log.ts'
import { testShop } from '../../kit/shop.ts'
import { type Buying, openForBuying } from '../orders/buying.ts'
import { expectInvalidToken } from './people.ts'
import { sqlOf, statementsOf } from './sql.ts'

type Key = { id: string; secret: string; headers: { authorization: string } }
const HOUR = 60
const DAY = 24 * HOUR
const UNKNOWN = { authorization: `Bearer sk_${'A'.repeat(43)}` }

let buying: Buying
beforeAll(async () => {
  buying = await openForBuying()
})
afterAll(() => buying?.close())

const issue = async (permissions: string[], more: object = {}) =>
  buying.send('POST', '/v1/api-keys', { name: 'Warehouse', permissions, ...more }, await buying.asOwner())
const asKey = ({ body }: { body: Key }): Key => ({
  ...body,
  headers: { authorization: `Bearer ${body.secret}` },
})
const aKey = async (...permissions: string[]): Promise<Key> => asKey(await issue(permissions))
const revoke = async ({ id }: Key) => buying.send('DELETE', `/v1/api-keys/${id}`, undefined, await buying.asOwner())
const rotate = async ({ id }: Key, overlapHours: number) =>
  buying.send('POST', `/v1/api-keys/${id}/rotation`, { overlapHours }, await buying.asOwner())
const listInventory = ({ headers }: Pick<Key, 'headers'>) => buying.send('GET', '/v1/inventory', undefined, headers)
const auditOf = (subject: string) =>
  sqlOf(
    buying.shop,
    'select actor_kind, actor_id, action, before, after from platform.audit_log where subject = $1 order by id',
    subject,
  )

describe('API keys', () => {
  it('are shown once, kept as a hash, and listed without it', async () => {
    const made = await issue(['inventory:read', 'orders:read'])
    const { secret, ...rest } = made.body
    expect(made).toMatchObject({ status: 201, headers: { 'cache-control': 'no-store' } })
    expect(secret).toMatch(/^sk_[\w-]{43}$/)
    expect(rest).toMatchObject({
      name: 'Warehouse',
      hint: secret.slice(-4),
      permissions: ['inventory:read', 'orders:read'],
      lastUsedAt: null,
      revokedAt: null,
      replacedBy: null,
    })
    expect(Date.parse(rest.expiresAt) - Date.parse(rest.createdAt)).toBe(365 * DAY * 60_000)
    const { body } = await buying.send('GET', '/v1/api-keys', undefined, await buying.asOwner())
    expect(body.data[0]).toEqual(rest)
    const [row] = await sqlOf<{ kept: string }>(
      buying.shop,
      'select to_jsonb(k)::text as kept from users.api_keys k where id = $1',
      rest.id,
    )
    expect(row!.kept).not.toContain(secret.slice(3))
    expect(await auditOf(rest.id)).toMatchObject([
      { actor_kind: 'staff', action: 'users.issue-api-key', after: { permissions: rest.permissions, revoked: false } },
    ])
  })

  it('are never replayed', async () => {
    const headers = { ...(await buying.asOwner()), 'idempotency-key': 'once' }
    const body = { name: 'Replayed', permissions: ['inventory:read'] }
    const [first, second] = [
      await buying.send('POST', '/v1/api-keys', body, headers),
      await buying.send('POST', '/v1/api-keys', body, headers),
    ]
    expect(second.body.secret).not.toBe(first.body.secret)
    expect(await sqlOf(buying.shop, 'select 1 from platform.receipts where location = $1', '/v1/api-keys')).toEqual([])
  })

  it('allow their scope and what everybody may, and no more', async () => {
    const key = await aKey('inventory:read')
    expect((await listInventory(key)).status).toBe(200)
    expect((await buying.send('POST', '/v1/carts', {}, key.headers)).status).toBe(201)
    for (const url of ['/v1/users', '/v1/roles', '/v1/api-keys', '/v1/audit-log'])
      expect(await buying.send('GET', url, undefined, key.headers)).toMatchObject({
        status: 403,
        body: { code: 'platform.forbidden' },
      })
    expect(await buying.send('GET', '/v1/users/me', undefined, key.headers)).toMatchObject({ status: 403 })
  })

  it('last for 1 to 730 days, and end to the second', async () => {
    for (const expiresInDays of [0, -1, 731])
      expect(await issue(['inventory:read'], { expiresInDays })).toMatchObject({ status: 422 })
    expect(await issue([])).toMatchObject({ status: 422 })
    expect(await issue(['world:rule'])).toMatchObject({ status: 422 })
    expect(await issue(['inventory:read'], { expiresInDays: 730 })).toMatchObject({ status: 201 })
    const key = asKey(await issue(['inventory:read'], { expiresInDays: 1 }))
    const { now } = buying.shop.clock
    buying.shop.clock.advance(DAY - 1 / 60)
    expect((await listInventory(key)).status).toBe(200)
    buying.shop.clock.advance(1 / 60)
    expectInvalidToken(await listInventory(key))
    buying.shop.clock.now = now
  })

  it('that are unknown, malformed, expired or revoked are refused alike', async () => {
    const key = await aKey('inventory:read')
    expect(await revoke(key)).toMatchObject({ status: 204 })
    const told = new Set<string>()
    for (const headers of [
      key.headers,
      UNKNOWN,
      { authorization: 'Bearer sk_short' },
      { authorization: `${key.headers.authorization}x` },
    ]) {
      const answer = await listInventory({ headers })
      expectInvalidToken(answer)
      told.add(answer.text.replace(/"instance":"[^"]*"/, ''))
    }
    expect(told.size).toBe(1)
    expect(await revoke(key)).toMatchObject({ status: 204 })
    expect((await auditOf(key.id)).map(({ action }: { action?: string }) => action)).toEqual([
      'users.issue-api-key',
      'users.revoke-api-key',
    ])
    const missing = { ...key, id: 'key_01jd2zq8k5e6v9w3x7y2m4n6p8' }
    expect(await revoke(missing)).toMatchObject({ status: 404, body: { code: 'users.key-not-found' } })
  })

  it('say when they were used, once a minute, in the one statement that looks them up', async () => {
    const key = await aKey('catalogue:read')
    const lastUsedAt = async () => {
      const { body } = await buying.send('GET', '/v1/api-keys?limit=100', undefined, await buying.asOwner())
      return body.data.find(({ id }: Key) => id === key.id).lastUsedAt
    }
    await buying.send('GET', '/v1/store')
    expect(await statementsOf(() => buying.send('GET', '/v1/store', undefined, key.headers))).toBe(1)
    const first = buying.shop.clock.now.toISOString()
    expect(await lastUsedAt()).toBe(first)
    buying.shop.clock.advance(0.9)
    await buying.send('GET', '/v1/store', undefined, key.headers)
    expect(await lastUsedAt()).toBe(first)
    buying.shop.clock.advance(0.1)
    const twenty = Array.from({ length: 20 }, () => buying.send('GET', '/v1/store', undefined, key.headers))
    expect((await Promise.all(twenty)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(await lastUsedAt()).toBe(buying.shop.clock.now.toISOString())
  })

  it('are rotated: both work for the overlap, then the new one alone', async () => {
    const old = await aKey('inventory:read')
    const rotated = await rotate(old, 2)
    expect(rotated).toMatchObject({ status: 201, body: { name: 'Warehouse', permissions: ['inventory:read'] } })
    const fresh = asKey(rotated)
    expect(fresh.secret).not.toBe(old.secret)
    for (const key of [old, fresh]) expect((await listInventory(key)).status).toBe(200)
    expect(await rotate(old, 2)).toMatchObject({ status: 409, body: { code: 'users.key-ended' } })
    buying.shop.clock.advance(2 * HOUR)
    expectInvalidToken(await listInventory(old))
    expect((await listInventory(fresh)).status).toBe(200)
    const [first] = await sqlOf(buying.shop, 'select replaced_by from users.api_keys where id = $1', old.id)
    expect(first).toEqual({ replaced_by: fresh.id })
    expect((await auditOf(old.id)).at(-1)).toMatchObject({ action: 'users.rotate-api-key' })
    const last = asKey(await rotate(fresh, 0))
    expectInvalidToken(await listInventory(fresh))
    expect((await listInventory(last)).status).toBe(200)
    for (const hours of [-1, 169, 1.5]) expect((await rotate(last, hours)).status).toBeGreaterThanOrEqual(400)
  })

  it('rotated ten times at once, are replaced once', async () => {
    const key = await aKey('inventory:read')
    const answers = await Promise.all(Array.from({ length: 10 }, () => rotate(key, 1)))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)])
  })
})

describe('what a server does', () => {
  it('is written down under its key', async () => {
    const key = await aKey('orders:read', 'orders:note', 'inventory:read', 'inventory:adjust')
    const variantId = await buying.aVariant()
    const counted = await buying.send(
      'POST',
      '/v1/inventory/adjustments',
      { variantId, change: 3, reason: 'found' },
      key.headers,
    )
    expect(counted.status).toBe(201)
    const by = { actor_kind: 'server', actor_id: key.id }
    expect(
      await sqlOf(buying.shop, 'select actor_kind, actor_id from platform.audit_log where actor_id = $1', key.id),
    ).toEqual([by])
    expect(await sqlOf(buying.shop, `select reason from catalog.movements where actor_id = $1`, key.id)).toHaveLength(1)
    const order = await buying.anOrder()
    await buying.send('POST', `/v1/orders/${order.id}/notes`, { text: 'Seen.' }, key.headers)
    const { body } = await buying.send('GET', `/v1/orders/${order.id}/timeline`, undefined, key.headers)
    expect(body.data.at(-1)).toMatchObject({ actor: 'server', actorId: key.id })
  })

  it('has Idempotency-Keys of its own, and those of the guest it asks for', async () => {
    const key = await aKey('catalogue:read')
    const [variantId, other] = [await buying.aVariant(), await aKey('catalogue:read')]
    const make = (headers: object) =>
      buying.send(
        'POST',
        '/v1/carts',
        { items: [{ variantId, quantity: 1 }] },
        { 'idempotency-key': 'same', ...headers },
      )
    const first = await make(key.headers)
    expect(first.status).toBe(201)
    expect((await make(key.headers)).body.id).toBe(first.body.id)
    expect((await make(other.headers)).body.id).not.toBe(first.body.id)
    expect((await make({})).body.id).not.toBe(first.body.id)
  })

  it('can be done for a guest, with the tokens of their cart and order', async () => {
    const key = await aKey('catalogue:read')
    const variantId = await buying.aVariant()
    const cart = await buying.aCart([{ variantId, quantity: 1 }], {}, key.headers)
    const headers = { ...key.headers, 'x-cart-token': cart.token }
    const ordered = await buying.send('POST', '/v1/orders', { cartId: cart.id }, headers)
    expect(ordered).toMatchObject({ status: 201, body: { email: 'ann@example.com' } })
    const read = (more: object) =>
      buying.send('GET', `/v1/orders/${ordered.body.id}`, undefined, { ...key.headers, ...more })
    expect((await read({ 'x-order-token': ordered.body.token })).body.email).toBe('ann@example.com')
    expect(await read({})).toMatchObject({ status: 404 })
  })

  it('makes no keys, and grants nothing that its key lacks', async () => {
    const key = await aKey('api-keys:write', 'api-keys:read', 'roles:write', 'users:write')
    const body = { name: 'Child', permissions: ['api-keys:read'] }
    expect(await buying.send('POST', '/v1/api-keys', body, key.headers)).toMatchObject({
      status: 403,
      body: { code: 'users.reauthentication-required' },
    })
    const role = { name: 'by-server', description: 'New.', permissions: ['payments:refund'] }
    expect(await buying.send('POST', '/v1/roles', role, key.headers)).toMatchObject({
      status: 403,
      body: { code: 'users.cannot-grant' },
    })
  })
})

describe('people', () => {
  it('give a key what they hold, and touch none that allows more', async () => {
    const admin = await buying.staff('admin')
    const make = (permissions: string[]) =>
      buying.send('POST', '/v1/api-keys', { name: 'By admin', permissions }, admin)
    const refused = { status: 403, body: { code: 'users.cannot-grant' } }
    expect(await make(['owners:grant'])).toMatchObject(refused)
    expect(await make(['orders:read'])).toMatchObject({ status: 201 })
    const above = await aKey('owners:grant')
    expect(await buying.send('DELETE', `/v1/api-keys/${above.id}`, undefined, admin)).toMatchObject(refused)
    expect(await buying.send('POST', `/v1/api-keys/${above.id}/rotation`, { overlapHours: 0 }, admin)).toMatchObject(
      refused,
    )
    for (const role of ['support', 'finance'])
      expect(await buying.send('GET', '/v1/api-keys', undefined, await buying.staff(role))).toMatchObject({
        status: 403,
      })
  })

  it('show their password once more, when it is long ago', async () => {
    const owner = await buying.asOwner()
    const { now } = buying.shop.clock
    await sqlOf(buying.shop, `update users.sessions set authenticated_at = authenticated_at - interval '11 minutes'`)
    const make = () => buying.send('POST', '/v1/api-keys', { name: 'Late', permissions: ['orders:read'] }, owner)
    expect(await make()).toMatchObject({ status: 403, body: { code: 'users.reauthentication-required' } })
    await sqlOf(buying.shop, `update users.sessions set authenticated_at = $1`, now)
    expect((await make()).status).toBe(201)
  })
})

it('stands in no log: not of a request that is refused or fails, nor in what an error says', async () => {
  const shop = await testShop({ LOG_LEVEL: 'trace' })
  const lines: string[] = []
  const write = vi
    .spyOn(fs, 'writeSync')
    .mockImplementation((_, text) => lines.push(String(text)) && String(text).length)
  try {
    const body = { name: 'Logged', permissions: ['inventory:read'] }
    const { secret, id } = (await shop.send('POST', '/v1/api-keys', body, await shop.asOwner())).body
    const headers = { authorization: `Bearer ${secret}` }
    await shop.send('GET', '/v1/inventory', undefined, headers)
    await shop.send('GET', '/v1/inventory', undefined, UNKNOWN)
    await shop.send('GET', `/v1/inventory?sku=${secret}`, undefined, headers)
    await shop.send('GET', `/v1/products/${secret}`, undefined, headers)
    await shop.send('POST', '/v1/carts', { email: secret }, headers)
    const log = makeLog({ level: 'trace', sync: true })
    log.error({ err: new Error(`${secret} is not known`), secret }, 'failed')
    log.error({ err: secret }, 'failed')
    const text = lines.join('')
    expect(text).toContain(`"actor":"server","actorId":"${id}"`)
    expect(text).toContain('[redacted] is not known')
    expect(text).not.toContain(secret.slice(3))
    expect(text).not.toContain('A'.repeat(43))
  } finally {
    write.mockRestore()
    await shop.close()
  }
})
