// Buys one product as a guest, with Node alone: each request is printed as a curl that can be pasted, with its answer.
// PORT or SHOP_URL say where the shop is; --json prints the whole journey as one JSON document. Exits 1 unless paid.
import { randomUUID } from 'node:crypto'

const shop = process.env.SHOP_URL ?? `http://localhost:${process.env.PORT || 3000}`
const asJson = process.argv.includes('--json')
const colour = process.stdout.isTTY && !process.env.NO_COLOR
const paint = (code, text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
const WIDTH = process.stdout.columns ?? 160
const PAID_WITHIN_MS = 15_000
const steps = []

async function send(title, method, path, { headers = {}, body } = {}) {
  const sent = { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) }
  const started = performance.now()
  const response = await fetch(shop + path, { method, headers: sent, ...(body ? { body: JSON.stringify(body) } : {}) })
  const text = await response.text()
  const step = { title, curl: curl(method, path, sent, body), status: response.status, ms: performance.now() - started }
  step.answer = text.startsWith('{') ? JSON.parse(text) : text
  steps.push(step)
  if (!asJson) print(step)
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}`)
  return step.answer
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`

function curl(method, path, headers, body) {
  const lines = [`curl -sS ${method === 'GET' ? '' : `-X ${method} `}${quote(shop + path)}`]
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quote(`${name}: ${value}`)}`)
  if (body) lines.push(`-d ${quote(JSON.stringify(body))}`)
  return lines.join(' \\\n     ')
}

function print({ title, curl, status, ms, answer }) {
  const told = Object.entries(typeof answer === 'object' ? answer : { body: answer })
  const fields = told.filter(([, value]) => value !== null && JSON.stringify(value) !== '{}')
  const pad = Math.max(...fields.map(([name]) => name.length))
  console.log(`\n${paint('1', `${steps.length}. ${title}`)}\n`)
  console.log(`   ${paint('36', curl.replaceAll('\n', '\n   '))}\n`)
  console.log(`   ${paint(status < 400 ? '32' : '31', String(status))}  ${paint('2', `${ms.toFixed(0)} ms`)}`)
  for (const [name, value] of fields)
    console.log(`   ${paint('2', name.padEnd(pad))}  ${shorten(value, WIDTH - pad - 6)}`)
}

function shorten(value, width) {
  const text = JSON.stringify(value)
  return text.length > width ? `${text.slice(0, Math.max(width - 1, 20))}…` : text
}

/** A variant that is on the shelf, or not counted; rather one that is shipped, since that shows more. */
function buyable(products) {
  const all = products.flatMap((product) => product.variants.map((variant) => ({ product, variant })))
  const some = all.filter(({ variant }) => variant.price && (variant.available === null || variant.available > 0))
  const one = some.find(({ variant }) => variant.requiresShipping) ?? some[0]
  if (!one) throw new Error('none of the products on the first page can be bought')
  return one
}

async function buy() {
  const { data } = await send('Browse', 'GET', '/v1/products?limit=20')
  const { product, variant } = buyable(data)
  const cart = await send(`Put "${product.title}" into a cart`, 'POST', '/v1/carts', {
    body: {
      currency: variant.price.currency,
      items: [{ variantId: variant.id, quantity: 1 }],
      email: 'ann@example.com',
      shippingAddress: { name: 'Ann Lee', line1: '1 Main St', city: 'London', postalCode: 'N1 1AA', countryCode: 'GB' },
      shippingMethod: 'standard',
    },
  })
  const order = await send('Order it: the stock is held', 'POST', '/v1/orders', {
    headers: { 'x-cart-token': cart.token, 'idempotency-key': randomUUID() },
    body: { cartId: cart.id, expectedTotal: cart.total },
  })
  const asBuyer = { 'x-order-token': order.token }
  await send('Pay', 'POST', `/v1/payments/${order.payment.id}/attempts`, {
    headers: { ...asBuyer, 'idempotency-key': randomUUID() },
    body: { method: 'sandbox', token: 'tok_ok' },
  })
  const until = Date.now() + PAID_WITHIN_MS
  for (let delayMs = 300; ; delayMs = 1_000) {
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    const { status, number, total } = await send('Look at the order', 'GET', `/v1/orders/${order.id}`, {
      headers: asBuyer,
    })
    if (status === 'paid') return { number, total }
    if (Date.now() > until) throw new Error(`order ${number} is still ${status}`)
  }
}

try {
  const { number, total } = await buy()
  if (asJson) console.log(JSON.stringify({ paid: true, order: number, steps }, null, 2))
  else console.log(`\n${paint('1;32', `✓ Order ${number} is paid`)}: ${JSON.stringify(total)}\n`)
} catch (error) {
  const reason =
    error.cause?.code === 'ECONNREFUSED' ? `no shop answers at ${shop}: start one with make run` : error.message
  if (asJson) console.log(JSON.stringify({ paid: false, reason, steps }, null, 2))
  else console.error(`\n${paint('1;31', '✗ Not bought')}: ${reason}\n`)
  process.exitCode = 1
}
