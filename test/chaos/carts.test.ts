import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { seeded } from '#src/sandbox/seeded.ts'
import { ADDRESS, type Line, placeOrder, send, variantOf } from '../kit/buyer.ts'
import {
  type Cart,
  fullCart,
  holding,
  logInAs,
  mergeCarts,
  oddAnswers,
  readCart,
  sendBare,
  unitsIn,
  wrongUnits,
} from '../kit/carts.ts'
import { SEED, sized } from '../kit/chaos.ts'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { verdict } from '../kit/verdict.ts'

vi.setConfig({ testTimeout: 120_000 })

/** P22: carts lose no update, and a login empties none, over two service processes. */
const AT_ONCE = 50
const LOGINS = 5
const LINES = 65
const MAX_LINES = 100
const MAX_UNITS = 9_999
const SCARCE = 10
const TOO_LATE = ['carts.already-ordered', 'carts.already-merged', 'orders.already-placed', 'orders.empty']
const ANN = { email: 'ann@example.com', password: 'a long walk by the sea' }

let database: TestDatabase
let cluster: Cluster
let variants: string[]
let scarce: string
const url = (i: number) => cluster.services[i % 2]!.url
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 2 })
  const handles = Array.from({ length: MAX_LINES + 20 }, (_, i) => `thing-${i}`)
  await cluster.stock({ ...Object.fromEntries(handles.map((handle) => [handle, 100_000])), scarce: SCARCE })
  variants = await Promise.all(handles.map((handle, i) => variantOf(url(i), handle)))
  scarce = await variantOf(url(0), 'scarce')
  expect((await send(url(0), 'POST', '/v1/auth/register', { ...ANN, name: 'Ann' })).status).toBe(201)
}, 60_000)
afterAll(async () => {
  await cluster?.stop()
  await database?.drop()
})

const logIn = (i: number) => logInAs(url(i), ANN)
const aCart = (items: readonly Line[], headers = {}) => fullCart(url(1), items, headers)
const read = (cart: Cart, headers = holding(cart)) => readCart(url(1), cart, headers)
const merge = (i: number, into: Cart, from: Cart, proofs: Record<string, string>, key?: string) =>
  mergeCarts(url(i), into, from, proofs, key)
const linesOf = (count: number, quantity = 1): Line[] =>
  variants.slice(0, count).map((variantId) => ({ variantId, quantity }))
/** A cart of five lines with three units each, and then one more of all lines. */
const mergedOnce = () => new Map(linesOf(LINES).map(({ variantId }, i) => [variantId, i < 5 ? 4 : 1]))

test(`${AT_ONCE} changes of one cart at once: each that was acknowledged is in it`, async () => {
  const random = seeded(SEED)
  const rounds = sized(5, 40)
  const violations: string[] = []
  const [shared = '', ...own] = variants
  for (let round = 1; round <= rounds; round += 1) {
    const lines = own.slice(0, AT_ONCE).map((variantId) => ({ variantId, quantity: 5 }))
    const cart = await aCart([{ variantId: shared, quantity: 1 }, ...lines])
    const items = new Map<string, string>((await read(cart)).items.map((item: any) => [item.variantId, item.id]))
    const wanted = new Map([shared, ...own.slice(0, AT_ONCE)].map((id) => [id, id === shared ? 1 : 5]))
    const details: Record<string, unknown> = {}
    const change = async (_: unknown, i: number) => {
      const variantId = own[i] as string
      const item = `/v1/carts/${cart.id}/items/${items.get(variantId)}`
      const quantity = 1 + Math.floor(random() * 9)
      const detail = [
        { email: `${i}@example.com` },
        { note: `Ring ${i} times` },
        { metadata: { source: `ad ${i}` } },
        { shippingAddress: { ...ADDRESS, line1: `${i} Main St` } },
        { billingAddress: { ...ADDRESS, line1: `${i} High St` } },
        { shippingMethod: 'express' },
      ][i / 8]
      const [method, path, body, done] = detail
        ? (['PATCH', `/v1/carts/${cart.id}`, detail, () => Object.assign(details, detail)] as const)
        : i % 3 === 0
          ? (['PATCH', item, { quantity }, () => wanted.set(variantId, quantity)] as const)
          : i % 7 === 1
            ? (['PATCH', item, { quantity: 0 }, () => wanted.delete(variantId)] as const)
            : ([
                'POST',
                `/v1/carts/${cart.id}/items`,
                { variantId: shared, quantity },
                () => wanted.set(shared, (wanted.get(shared) ?? 0) + quantity),
              ] as const)
      const sendIt = random() < 0.5 ? send : sendBare
      const reply = await sendIt(url(Math.floor(random() * 2)), method, path, body, holding(cart))
      if (reply.status === 200 || reply.status === 201) done()
      return reply
    }
    const replies = await Promise.all(Array.from({ length: AT_ONCE }, change))
    const after = await read(cart)
    violations.push(...oddAnswers(replies), ...wrongUnits(`round ${round}`, unitsIn(after), wanted))
    for (const [name, value] of Object.entries(details))
      if (!isDeepStrictEqual(after[name], value))
        violations.push(`round ${round}: ${name} is ${JSON.stringify(after[name])}, not ${JSON.stringify(value)}`)
  }
  verdict({
    promise: 'P22',
    tried: `changes of one cart, ${AT_ONCE} at once`,
    n: AT_ONCE * rounds,
    violations,
    seed: SEED,
  })
})

test(`${LOGINS} logins of one person at once, each merging the same cart of ${LINES} lines: it is merged once`, async () => {
  const rounds = sized(3, 20)
  const violations: string[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const ann = await logIn(round)
    const own = await aCart(linesOf(5, 3), ann)
    const guest = await aCart(linesOf(LINES))
    const replies = await Promise.all(
      Array.from({ length: LOGINS }, async (_, i) => merge(i, own, guest, { ...(await logIn(i)), ...holding(guest) })),
    )
    const done = replies.filter(({ status }) => status === 200).length
    if (done !== 1) violations.push(`round ${round}: merged ${done} times`)
    violations.push(
      ...oddAnswers(replies, 'carts.already-merged'),
      ...wrongUnits(`round ${round}`, unitsIn(await read(own, ann)), mergedOnce()),
    )
  }
  verdict({ promise: 'P22', tried: `merges of one cart of ${LINES} lines`, n: LOGINS * rounds, violations })
})

test(`${LOGINS} logins at once, each with a cart of its own of ${LINES} lines: all are in it`, async () => {
  const rounds = sized(3, 20)
  const violations: string[] = []
  for (let round = 1; round <= rounds; round += 1) {
    const ann = await logIn(round)
    const own = await aCart([], ann)
    const guests = await Promise.all(Array.from({ length: LOGINS }, () => aCart(linesOf(LINES))))
    const replies = await Promise.all(
      guests.map(async (guest, i) => merge(i, own, guest, { ...(await logIn(i)), ...holding(guest) })),
    )
    const wanted = new Map(linesOf(LINES).map(({ variantId }) => [variantId, LOGINS]))
    violations.push(...oddAnswers(replies), ...wrongUnits(`round ${round}`, unitsIn(await read(own, ann)), wanted))
  }
  verdict({ promise: 'P22', tried: `merges of a cart of ${LINES} lines each`, n: LOGINS * rounds, violations })
})

test('a merge, both orders, the merge the other way round and items put in, all at once: no unit is lost or doubled', async () => {
  const rounds = sized(10, 100)
  const violations: string[] = []
  const [x = '', y = ''] = variants
  for (let round = 1; round <= rounds; round += 1) {
    const ann = await logIn(round)
    const own = await aCart([{ variantId: y, quantity: 1 }], ann)
    const guest = await aCart([{ variantId: x, quantity: 2 }])
    const put = (cart: Cart, headers: Record<string, string>, i: number) =>
      send(url(i), 'POST', `/v1/carts/${cart.id}/items`, { variantId: x, quantity: 1 }, headers)
    const both = { ...ann, ...holding(guest) }
    const orderOwn = () => send(url(round), 'POST', '/v1/orders', { cartId: own.id }, ann)
    const orderGuest = () => placeOrder(url(round + 1), guest)
    const toPut = [put(guest, both, 0), put(own, ann, 1), put(guest, both, 1), put(own, ann, 0)]
    const toOrder = round % 2 ? [merge(0, own, guest, both), orderOwn()] : [orderGuest(), merge(1, own, guest, both)]
    const [replies, puts] = await Promise.all([
      Promise.all([...toOrder, merge(round, guest, own, both), round % 3 ? orderGuest() : orderOwn()]),
      Promise.all(toPut),
    ])
    violations.push(...oddAnswers([...replies, ...puts], ...TOO_LATE))
    const carts = [await read(own, ann), await read(guest, both)].map(unitsIn)
    const held = new Map([x, y].map((id) => [id, carts.reduce((sum, cart) => sum + (cart.get(id) ?? 0), 0)]))
    const wanted = new Map([
      [x, 2 + puts.filter(({ status }) => status === 201).length],
      [y, 1],
    ])
    violations.push(...wrongUnits(`round ${round}`, held, wanted))
    for (const { body } of replies.filter(({ status, body }) => status === 201 && body.payment))
      if (!carts.some((cart) => isDeepStrictEqual(cart, unitsIn(body))))
        violations.push(`round ${round}: ordered what no cart holds`)
  }
  verdict({ promise: 'P22', tried: 'merges, orders and items put in, 8 at once', n: 8 * rounds, violations })
})

test('no cart gets beyond its limits, however many put in at once', async () => {
  const [first = ''] = variants
  const full = async (items: readonly Line[], puts: readonly Line[]) => {
    const cart = await aCart(items)
    const path = `/v1/carts/${cart.id}/items`
    const replies = await Promise.all(
      puts.map((line, i) => (i % 4 < 2 ? send : sendBare)(url(i), 'POST', path, line, holding(cart))),
    )
    const put = replies.filter(({ status }) => status === 201).length
    return {
      put,
      cart: unitsIn(await read(cart)),
      odd: oddAnswers(replies, 'carts.too-many-items', 'catalog.out-of-stock'),
    }
  }
  const others = variants.slice(MAX_LINES - 10).map((variantId) => ({ variantId, quantity: 1 }))
  const lines = await full(linesOf(MAX_LINES - 10), others)
  const hundreds = Array.from({ length: AT_ONCE }, () => ({ variantId: first, quantity: 300 }))
  const units = await full([], hundreds)
  const ones = Array.from({ length: AT_ONCE }, () => ({ variantId: scarce, quantity: 1 }))
  const last = await full([], ones)
  const most = Math.floor(MAX_UNITS / 300)
  verdict({
    promise: 'P22',
    tried: 'items put in at once, beyond lines, units, and what there is',
    n: 30 + 2 * AT_ONCE,
    violations: [
      ...[...lines.odd, ...units.odd, ...last.odd],
      ...(lines.put === 10 && lines.cart.size === MAX_LINES
        ? []
        : [`${lines.put} more lines, then ${lines.cart.size}`]),
      ...(units.put === most ? [] : [`${units.put} times 300 units`]),
      ...wrongUnits('units', units.cart, new Map([[first, most * 300]])),
      ...wrongUnits('what there is', last.cart, new Map([[scarce, SCARCE]])),
    ],
  })
})

test('a merge that dies with its process, and is repeated with its key, is done once', async () => {
  const [service] = cluster.services
  const violations: string[] = []
  for (const place of ['command.before-commit', 'command.committed']) {
    const ann = await logIn(1)
    const [own, guest] = [await aCart(linesOf(5, 3), ann), await aCart(linesOf(LINES))]
    await service.end('SIGKILL')
    await service.start({ FAILPOINTS: `${place}=kill` })
    const key = randomUUID()
    const both = { ...ann, ...holding(guest) }
    const died = await merge(0, own, guest, both, key)
    // Until PostgreSQL hears of the death, its connection still holds what it had begun.
    const over = await vi.waitUntil(async () => {
      const reply = await merge(1, own, guest, both, key)
      return reply.body?.code === 'platform.in-progress' ? undefined : reply
    }, 10_000)
    const again = [over, await merge(1, own, guest, both, key)]
    if (died.status !== 0) violations.push(`${place}: it lived, and answered ${died.status}`)
    violations.push(...oddAnswers(again), ...wrongUnits(place, unitsIn(await read(own, ann)), mergedOnce()))
  }
  verdict({ promise: 'P22', tried: 'merges whose process was killed before and after the commit', n: 2, violations })
})
