import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readAccess, report } from '#src/cli/access.ts'
import { type TestShop, testShop } from '../../kit/shop.ts'

let shop: TestShop
beforeAll(async () => {
  shop = await testShop()
  const role = { name: 'packer', description: 'Packs.', permissions: ['orders:ship'] }
  expect((await shop.send('POST', '/v1/roles', role, await shop.asOwner())).status).toBe(201)
})
afterAll(() => shop?.close())

it('shows every permission and who has it, the shop’s own roles as well', async () => {
  const { permissions } = await readAccess(shop.app, false)
  const of = (name: string) => permissions.find(({ permission }) => permission === name)!.roles
  expect(Object.keys(of('orders:ship'))).toEqual([
    'guest',
    'customer',
    'support',
    'catalogue',
    'fulfilment',
    'finance',
    'admin',
    'packer',
    'owner',
  ])
  expect(of('orders:ship')).toMatchObject({ packer: true, fulfilment: true, finance: false, customer: false })
  expect(of('account:read')).toMatchObject({ guest: false, customer: true, packer: true, owner: true })
  expect(Object.entries(of('owners:grant')).filter(([, has]) => has)).toEqual([['owner', true]])
})

it('prints it in columns, and with --routes what each route and its fields ask for', async () => {
  const lines = stripVTControlCharacters(report(await readAccess(shop.app, true))).split('\n')
  const head = lines[0]!
  const ship = lines.find((line) => line.startsWith('orders:ship'))!
  for (const [role, shown] of Object.entries({ packer: 'yes', guest: '·', owner: 'yes' }))
    expect(ship.slice(head.indexOf(role)).split(' ')[0], role).toBe(shown)
  const route = (name: string) => lines.find((line) => line.startsWith(name))
  expect(route('GET /v1/orders ')).toMatch(/orders:read-own +customers:read to read data\[\]\.email$/)
  expect(route('POST /v1/products ')).toContain('catalogue:price to write variants[].prices')
  expect(route('GET /v1/store ')).toMatch(/public$/)
})
