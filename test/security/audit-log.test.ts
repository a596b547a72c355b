import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Buying, openForBuying } from '../contexts/orders/buying.ts'
import { bearer } from '../contexts/users/people.ts'
import { sqlOf } from '../contexts/users/sql.ts'
import type { Sent } from '../kit/shop.ts'

/** Every staff and security event leaves a row that nobody can change, and that staff with the permission search. */
let buying: Buying
let owner: Record<string, string>
beforeAll(async () => {
  buying = await openForBuying()
  owner = await buying.asOwner()
})
afterAll(() => buying?.close())

const search = (query: string, headers = owner) => buying.send('GET', `/v1/audit-log?${query}`, undefined, headers)
const entries = ({ body }: Sent): any[] => body.data

describe('Audit log', () => {
  test('a row has actor, address, time, before and after', async () => {
    const variantId = await buying.aVariant()
    const headers = { ...owner, 'x-request-id': 'audited-adjustment' }
    const change = { variantId, location: 'main', change: 5, reason: 'found' }
    expect((await buying.send('POST', '/v1/inventory/adjustments', change, headers)).status).toBe(201)
    const found = await search(`subject=${variantId}&action=catalog.stock-adjusted`)
    expect(found.status).toBe(200)
    expect(entries(found)).toEqual([
      {
        id: expect.any(Number),
        at: buying.shop.clock.now.toISOString(),
        actor: { kind: 'staff', id: expect.stringMatching(/^usr_/) },
        address: '127.0.0.1',
        action: 'catalog.stock-adjusted',
        subject: variantId,
        requestId: 'audited-adjustment',
        before: expect.objectContaining({ onHand: 10 }),
        after: expect.objectContaining({ onHand: 15 }),
      },
    ])
  })

  test('it is searched by actor, subject, action, context and time, in pages', async () => {
    const [first] = entries(await search('limit=1'))
    expect(entries(await search(`actorId=${first.actor.id}&limit=1`))).toEqual([first])
    expect(entries(await search('action=users.&limit=100')).every(({ action }) => action.startsWith('users.'))).toBe(
      true,
    )
    expect(entries(await search('actorId=usr_nobody'))).toEqual([])
    expect(entries(await search('before=2020-01-01T00:00:00Z'))).toEqual([])
    expect(entries(await search('from=2020-01-01T00:00:00Z&limit=1'))).toEqual([first])
    const seen: number[] = []
    for (let cursor = ''; ; ) {
      const { body } = await search(`limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`)
      seen.push(...body.data.map(({ id }: { id: number }) => id))
      if (body.nextCursor === null) break
      cursor = body.nextCursor
    }
    const all = await sqlOf<{ id: string }>(buying.shop, 'select id::text from platform.audit_log order by id desc')
    expect(seen.map(String)).toEqual(all.map(({ id }) => id))
    for (const query of ['action=Users', 'from=yesterday', 'limit=101', 'cursor=x', 'sort=id'])
      expect((await search(query)).status, query).toBe(400)
  })

  test('it is for staff with the permission', async () => {
    expect((await search('', {})).status).toBe(401)
    expect((await search('', bearer(await buying.people.customer('eve@example.com')))).status).toBe(403)
    expect((await search('', await buying.staff('support'))).status).toBe(403)
    expect((await search('', await buying.staff('admin'))).status).toBe(200)
  })

  test('the service cannot change or remove a row, and holds no address in the clear', async () => {
    const { db } = buying.shop.app.database
    await expect(sql`update platform.audit_log set action = 'nothing'`.execute(db)).rejects.toThrow(/permission denied/)
    await expect(sql`delete from platform.audit_log`.execute(db)).rejects.toThrow(/permission denied/)
    await expect(sql`truncate platform.audit_log`.execute(db)).rejects.toThrow(/permission denied/)
    const [row] = await sqlOf<{ address: Buffer; row: string }>(
      buying.shop,
      `select address, a::text as row from platform.audit_log a where address is not null limit 1`,
    )
    expect(row?.address.toString('latin1')).not.toContain('127.0.0.1')
    expect(row?.row).not.toContain('127.0.0.1')
  })
})
