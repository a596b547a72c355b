import { randomUUID } from 'node:crypto'
import { Secret, TOTP } from 'otpauth'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pay, send, variantOf, waitForOrder } from '../kit/buyer.ts'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { verdict } from '../kit/verdict.ts'

/** O14: a journey full of planted personal data and secrets; none of it may stand in the database or the log. */
let cluster: Cluster
let database: Awaited<ReturnType<typeof testDatabase>>
beforeAll(async () => {
  database = await testDatabase()
  cluster = await startCluster(database, { services: 1, env: { LOG_LEVEL: 'trace', KEY_REFRESH_MS: '300' } })
})
afterAll(async () => {
  await cluster.stop()
  await database.drop()
})

/** Words that stand nowhere by chance. */
const planted = new Map<string, string>()
const plant = (what: string, value = `Zq${randomUUID().replaceAll('-', '')}`): string => {
  planted.set(what, value)
  return value
}
const address = (whose: string) => ({
  name: plant(`${whose} name`),
  company: plant(`${whose} company`),
  line1: plant(`${whose} line 1`),
  line2: plant(`${whose} line 2`),
  city: plant(`${whose} city`),
  region: plant(`${whose} region`),
  postalCode: plant(`${whose} postal code`, `Zq${randomUUID().slice(0, 8)}`),
  countryCode: 'GB',
  phone: plant(`${whose} phone`, '+447700900123987'),
})
const email = (whose: string) => {
  const name = plant(`${whose} e-mail`, `zq${randomUUID().slice(0, 18)}`)
  return `${name}@example.com`
}

test('P24: nothing planted is found in any column of any table, in clear, hex or base64, nor in the log', async () => {
  const url = cluster.services[0].url
  await cluster.stock({ 'findable-mug': 50 })
  const variantId = await variantOf(url, 'findable-mug')
  const orderId = await guestBuys(url, variantId)
  await customerBuys(url, variantId)
  await staffWork(url, orderId)
  await blunders(url)

  const dump = await everyRow(database.ownerUrl)
  const log = cluster.services[0].output()
  // What is known to be there is found: the search can see it, as text and inside bytes.
  for (const known of ['findable-mug', orderId, variantId]) expect(found(dump, known), known).toBe(true)
  expect(found(dump, 'payment.succeeded')).toBe(true)
  expect(found(log, '"route":"/v1/orders"')).toBe(true)

  const leaks = [...planted].flatMap(([what, value]) => [
    ...(found(dump, value) ? [`${what} is in the database`] : []),
    ...(found(log, value) ? [`${what} is in the log`] : []),
  ])
  expect(planted.size).toBeGreaterThan(40)
  verdict({
    promise: 'P24',
    tried: 'names, addresses, secrets and keys, looked for in every column and in the log',
    n: planted.size,
    violations: leaks,
  })
})

test('P24: what is sealed stands where a column says so, and all of it opens there: a rotation of keys finds nothing else', async () => {
  const { unsaid, used } = await sealedColumns(database.ownerUrl)
  for (const column of [
    'orders.carts.email',
    'orders.orders.shipping_address',
    'orders.notes.text',
    'users.users.name',
  ])
    expect(used).toContain(column)
  for (const column of [
    'users.sessions.device',
    'users.second_factors.secret',
    'users.addresses.address',
    'users.links.new_email',
    'platform.audit_log.address',
  ])
    expect(used).toContain(column)
  const { code, output } = await cluster.stoa('rotate-keys', '--json')
  expect(code, output).toBe(0)
  const { broken, resealed } = JSON.parse(output.slice(output.indexOf('{')))
  verdict({
    promise: 'P24',
    tried: 'columns with sealed values: each says so, and all of it opens there',
    n: used.length,
    violations: [...unsaid.map((column) => `${column} does not say what it holds`), ...broken],
  })
  const tables = new Set(used.map((column) => column.replace(/\.[^.]+$/, '')))
  expect(Object.keys(resealed).filter((table) => resealed[table] > 0)).toEqual([...tables].sort())
})

/** The columns that hold sealed values by their comment, and those that hold some without saying so. */
async function sealedColumns(ownerUrl: string): Promise<{ unsaid: string[]; used: string[] }> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  const { rows: columns } = await client.query<{ place: string; name: string; says: string }>(
    `select format('%I.%I', n.nspname, c.relname) as place, a.attname as name, col_description(c.oid, a.attnum) as says
     from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
     where c.relkind = 'r' and a.atttypid = 'bytea'::regtype and a.attnum > 0 and n.nspname not like 'pg\\_%'`,
  )
  const [unsaid, used]: [string[], string[]] = [[], []]
  for (const { place, name, says } of columns) {
    const { rows } = await client.query<{ found: number }>({
      text: `select count(*)::int as found from ${place} t join platform.data_keys k
        on substr(t.${name}, 1, 3) = decode('02' || lpad(to_hex(k.id::int), 4, '0'), 'hex') and length(t.${name}) > 30`,
    })
    if (!rows[0]?.found) continue
    if (says === "personal: sealed with the caller's secret") continue
    ;(says.startsWith('personal: sealed') ? used : unsaid).push(`${place}.${name}`)
  }
  await client.end()
  return { unsaid, used }
}

/** Browses, fills a cart step by step, orders, is declined, pays: under keys of its own. */
async function guestBuys(url: string, variantId: string): Promise<string> {
  const keyed = () => ({ 'idempotency-key': plant(`Idempotency-Key ${planted.size}`) })
  const cart = await send(url, 'POST', '/v1/carts', { currency: 'USD', items: [{ variantId, quantity: 1 }] }, keyed())
  const token = { 'x-cart-token': plant('cart token', cart.body.token) }
  const details = {
    email: email('guest'),
    shippingAddress: address('shipping'),
    billingAddress: address('billing'),
    shippingMethod: 'standard',
    note: plant('note of the buyer'),
  }
  const changed = await send(url, 'PATCH', `/v1/carts/${cart.body.id}`, details, { ...token, ...keyed() })
  expect(changed.body.problems).toEqual([])
  const order = await send(url, 'POST', '/v1/orders', { cartId: cart.body.id }, { ...token, ...keyed() })
  expect(order.status).toBe(201)
  plant('order token', order.body.token)
  expect((await pay(url, order.body, 'tok_declined', plant('key of an attempt'))).body.status).toBe('declined')
  expect((await pay(url, order.body)).body.status).toBe('succeeded')
  expect(await waitForOrder(url, order.body, ['paid'])).toBe('paid')
  return order.body.id
}

/** Registers, logs in, buys with an account, cancels, logs out. */
async function customerBuys(url: string, variantId: string): Promise<void> {
  const account = { email: email('customer'), password: plant('password') }
  const device = { 'user-agent': plant('device of the customer') }
  await send(url, 'POST', '/v1/auth/register', { ...account, name: plant('name of the customer') }, device)
  const { body } = await send(url, 'POST', '/v1/auth/login', account, device)
  const used = { refreshToken: plant('refresh token that is used', body.refreshToken) }
  const { body: fresh } = await send(url, 'POST', '/v1/auth/refresh', used, device)
  plant('refresh token', fresh.refreshToken)
  const bearer = { authorization: `Bearer ${plant('access token', fresh.accessToken)}`, ...device }
  await secondFactor(url, bearer)
  expect((await send(url, 'POST', '/v1/users/me/addresses', address('address book'), bearer)).status).toBe(201)
  expect((await send(url, 'POST', '/v1/users/me/email', { email: email('new') }, bearer)).status).toBe(202)
  const cart = {
    currency: 'USD',
    items: [{ variantId, quantity: 1 }],
    email: account.email,
    shippingAddress: address('customer'),
    shippingMethod: 'standard',
  }
  const { body: made } = await send(url, 'POST', '/v1/carts', cart, bearer)
  const order = await send(url, 'POST', '/v1/orders', { cartId: made.id }, bearer)
  expect(order.status).toBe(201)
  const cancelled = await send(url, 'POST', `/v1/orders/${order.body.id}/cancellation`, {}, bearer)
  expect(cancelled.body.status).toBe('cancelled')
  await send(url, 'POST', '/v1/auth/logout', { refreshToken: fresh.refreshToken }, bearer)
}

/** Turns a second factor on. */
async function secondFactor(url: string, bearer: Record<string, string>): Promise<void> {
  const { body: started } = await send(url, 'POST', '/v1/auth/mfa/totp', undefined, bearer)
  const secret = Secret.fromBase32(plant('secret of the second factor', started.secret))
  plant('secret as bytes', Buffer.from(secret.bytes).toString('hex'))
  const code = new TOTP({ secret }).generate()
  const { status, body } = await send(url, 'POST', '/v1/auth/mfa/totp/confirmation', { code }, bearer)
  expect(status).toBe(200)
  for (const [at, recoveryCode] of body.recoveryCodes.entries()) plant(`recovery code ${at}`, recoveryCode)
}

/** Looks people up, writes a note, makes a colleague, ships, takes back, refunds. */
async function staffWork(url: string, orderId: string): Promise<void> {
  const owner = await cluster.asOwner()
  plant('access token of the owner', owner.authorization.slice('Bearer '.length))
  const post = (path: string, body: object) => send(url, 'POST', path, body, owner)
  const colleague = { email: email('colleague'), password: plant('password of staff'), name: plant('name of staff') }
  expect((await post('/v1/users', { ...colleague, roles: ['support'] })).status).toBe(201)
  expect((await post(`/v1/orders/${orderId}/notes`, { text: plant('note of staff') })).status).toBe(201)
  const listed = await send(url, 'GET', `/v1/orders?email=${planted.get('guest e-mail')}@example.com`, undefined, owner)
  expect(listed.body.data).toMatchObject([{ id: orderId }])
  expect((await post(`/v1/orders/${orderId}/shipments`, {})).body.status).toBe('shipped')
  const { body: order } = await send(url, 'GET', `/v1/orders/${orderId}`, undefined, owner)
  const units = [{ itemId: order.items[0].id, quantity: 1, restock: true }]
  expect((await post(`/v1/orders/${orderId}/returns`, { lines: units, reason: 'Too small' })).status).toBe(201)
  const refund = { amount: order.total, reason: 'Returned' }
  expect((await post(`/v1/payments/${order.payment.id}/refunds`, refund)).body.status).toBe('succeeded')
}

/** What goes wrong is logged: it must not say with what. */
async function blunders(url: string): Promise<void> {
  const forged = (name: string) => ({ [name]: plant(`forged ${name}`) })
  const stranger = { email: email('stranger'), password: plant('password of a stranger') }
  expect((await send(url, 'POST', '/v1/auth/login', stranger)).status).toBe(401)
  const bearer = { authorization: `Bearer ${plant('forged access token')}` }
  expect((await send(url, 'GET', '/v1/users/me', undefined, bearer)).status).toBe(401)
  const cart = 'cart_01jd2zq8k5e6v9w3x7y2m4n6p8'
  expect((await send(url, 'GET', `/v1/carts/${cart}`, undefined, forged('x-cart-token'))).status).toBe(404)
  const unknown = { email: email('mistyped'), [plant('unknown property')]: 1 }
  expect((await send(url, 'POST', '/v1/carts', unknown)).status).toBe(400)
  expect((await send(url, 'POST', '/v1/carts', { email: `${plant('no e-mail')}@` })).status).toBe(422)
  expect((await send(url, 'GET', `/v1/${plant('unknown address')}?token=${plant('token in an address')}`)).status).toBe(
    404,
  )
}

/** Every row of every table as text: bytes as hex. */
async function everyRow(ownerUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  const { rows: tables } = await client.query<{ name: string }>(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'`,
  )
  expect(tables.length).toBeGreaterThan(25)
  const texts: string[] = []
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: string }>({ text: `select t::text as row from ${name} t` })
    texts.push(...rows.map(({ row }) => row))
  }
  await client.end()
  return texts.join('\n').toLowerCase()
}

/** Whether a text stands there: as it is, as hex, or as base64 wherever it begins. */
function found(text: string, value: string): boolean {
  const haystack = text.toLowerCase()
  const base64 = [0, 1, 2].map((shift) =>
    Buffer.from(' '.repeat(shift) + value)
      .toString('base64')
      .slice(shift && 4, -4),
  )
  return [value, Buffer.from(value).toString('hex'), ...base64].some((form) => haystack.includes(form.toLowerCase()))
}
