/** `make prove`: races, replays and a kill against two service processes on a database of their own, then the audit. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pc from 'picocolors'
import { startEmbedded } from '#platform/db/embedded.ts'
import { table } from '../src/cli/table.ts'
import { signature } from '../src/sandbox/webhooks.ts'
import { fillCart, pay, placeOrder, type Reply, send, variantOf, waitForOrder } from '../test/kit/buyer.ts'
import { type Cluster, startCluster } from '../test/kit/processes.ts'

type Claim = { readonly claim: string; readonly tried: string; readonly result: string; readonly kept: boolean }

const isTerminal = process.stderr.isTTY
const progress = (text: string) => isTerminal && process.stderr.write(`\r\x1b[2K${pc.dim(text)}`)
const count = (replies: readonly Reply[], status: number) => replies.filter((reply) => reply.status === status).length

/** 200 buyers, each with a cart of one, order at once from two processes: exactly as many as there are units succeed. */
async function lastUnits({ services, stock }: Cluster): Promise<Claim> {
  await stock({ 'last-seven': 7 })
  const variantId = await variantOf(services[0].url, 'last-seven')
  const carts = await Promise.all(
    Array.from({ length: 200 }, (_, i) => fillCart(services[i % 2]!.url, [{ variantId, quantity: 1 }])),
  )
  const replies = await Promise.all(
    carts.map((cart, i) => placeOrder(services[(i + 1) % 2]!.url, cart as { id: string; token: string })),
  )
  const [sold, refused] = [count(replies, 201), count(replies, 409)]
  return {
    claim: 'It cannot oversell',
    tried: '200 buyers of 7 units, over two processes',
    result: `${sold} orders, ${refused} told it is out of stock`,
    kept: sold === 7 && refused === 193,
  }
}

/** 50 times the same order with one key: one order, and one answer for all who are answered. */
async function oneKey({ services, stock }: Cluster): Promise<Claim> {
  await stock({ 'one-key': 100 })
  const cart = (await fillCart(services[0].url, [
    { variantId: await variantOf(services[0].url, 'one-key'), quantity: 1 },
  ])) as { id: string; token: string }
  const key = randomUUID()
  const ordered = await Promise.all(Array.from({ length: 50 }, (_, i) => placeOrder(services[i % 2]!.url, cart, key)))
  const { body: order } =
    ordered.find((reply) => reply.status === 201) ?? (await placeOrder(services[0].url, cart, key))
  const payKey = randomUUID()
  const paid = await Promise.all(
    Array.from({ length: 50 }, (_, i) => pay(services[i % 2]!.url, order, 'tok_ok', payKey)),
  )
  await waitForOrder(services[0].url, order, ['paid'])
  const again = await pay(services[1]!.url, order, 'tok_ok', payKey)
  const orders = new Set(ordered.filter((reply) => reply.status === 201).map((reply) => reply.body.id)).size
  const attempts = new Set([...paid, again].filter((reply) => reply.status === 201).map((reply) => reply.body.id)).size
  const failed = [...ordered, ...paid].filter((reply) => reply.status >= 500 || reply.status === 0).length
  return {
    claim: 'It cannot double charge',
    tried: '50 orders and 50 payments at once, one key each',
    result: `${orders} order, ${attempts} charge, ${failed} errors`,
    kept: orders === 1 && attempts === 1 && failed === 0 && again.replayed,
  }
}

/** One genuine webhook sent 20 times at once, to both processes: one effect. */
async function oneWebhook(cluster: Cluster): Promise<Claim> {
  const { services, stock, webhookSecret } = cluster
  await stock({ 'one-webhook': 100 })
  const cart = (await fillCart(services[0].url, [
    { variantId: await variantOf(services[0].url, 'one-webhook'), quantity: 1 },
  ])) as { id: string; token: string }
  const order = (await placeOrder(services[0].url, cart)).body
  await pay(services[0].url, order, 'tok_processing')
  const payment = await succeeded(cluster, order.payment.id)
  const event = { id: `evt_${randomUUID()}`, type: 'payment.succeeded', createdAt: new Date(), data: { payment } }
  const body = JSON.stringify(event)
  const headers = {
    'sandbox-signature': signature(webhookSecret, body, new Date()),
    'content-type': 'application/json',
  }
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      fetch(`${services[i % 2]!.url}/v1/payments/webhook/sandbox`, { method: 'POST', body, headers }).then(
        (response) => response.status,
      ),
    ),
  )
  const forged = await fetch(`${services[0].url}/v1/payments/webhook/sandbox`, {
    method: 'POST',
    body: body.replace('payment', 'paymemt'),
    headers,
  })
  const status = await waitForOrder(services[0].url, order, ['paid'])
  const { body: booked } = await send(services[0].url, 'GET', `/v1/payments/${order.payment.id}`, undefined, {
    'x-order-token': order.token,
  })
  const taken = answers.filter((status) => status >= 200 && status < 300).length
  const once = status === 'paid' && booked.captured.amountMinor === order.total.amountMinor
  return {
    claim: 'Webhooks act once, forged ones never',
    tried: 'one webhook 20 times at once, one with a changed body',
    result: `${taken} acknowledged, captured ${once ? 'once' : 'wrongly'}, forged: ${forged.status}`,
    kept: taken === 20 && once && forged.status === 400,
  }
}

/** The provider's payment for one of ours, as soon as the money is taken there: before any webhook of its own arrives. */
async function succeeded({ sandboxUrl, sandboxKey }: Cluster, paymentId: string): Promise<object> {
  for (;;) {
    const headers = { authorization: `Bearer ${sandboxKey}` }
    const response = await fetch(`${sandboxUrl}/v1/payments?reference=${paymentId}`, { headers })
    const { data } = (await response.json()) as { data: { status: string }[] }
    const payment = data.find(({ status }) => status === 'succeeded')
    if (payment) return payment
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Both processes killed -9 in the middle of purchases, and restarted: every acknowledged order is there and gets paid. */
async function killed({ services, stock }: Cluster): Promise<Claim> {
  await stock({ 'kill-me': 10_000 })
  const variantId = await variantOf(services[0].url, 'kill-me')
  const acknowledged: { id: string; token: string; payment: { id: string } }[] = []
  let stop = false
  const buyer = async (i: number) => {
    while (!stop) {
      const { url } = services[i % 2]!
      const cart = await fillCart(url, [{ variantId, quantity: 1 }])
      const order = 'token' in cart ? await placeOrder(url, cart) : undefined
      if (order?.status !== 201) continue
      acknowledged.push(order.body)
      await pay(url, order.body)
    }
  }
  const buyers = Array.from({ length: 16 }, (_, i) => buyer(i))
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  await Promise.all(services.map((service) => service.end('SIGKILL')))
  stop = true
  await Promise.all(buyers)
  const start = performance.now()
  await Promise.all(services.map((service) => service.start()))
  const backMs = Math.round(performance.now() - start)
  const states = await Promise.all(
    acknowledged.map((order) => waitForOrder(services[0].url, order, ['paid', 'pending'], 5_000)),
  )
  const lost = states.filter((state) => state !== 'paid' && state !== 'pending').length
  return {
    claim: 'A crash loses nothing',
    tried: `both processes killed -9 under load, ${acknowledged.length} orders acknowledged`,
    result: `${lost} lost, back after ${backMs} ms`,
    kept: lost === 0 && acknowledged.length > 0,
  }
}

async function books({ stoa }: Cluster): Promise<Claim> {
  await new Promise((resolve) => setTimeout(resolve, 14_000))
  const { code, output } = await stoa('audit', '--all', '--json')
  const findings = JSON.parse(output.slice(output.indexOf('['))) as {
    claim: string
    violations: { subject: string; detail: string }[]
  }[]
  const broken = findings.filter((finding) => finding.violations.length > 0)
  for (const { claim, violations } of broken)
    console.error(pc.red(`${claim}: ${violations[0]?.subject} ${violations[0]?.detail}`))
  return {
    claim: 'The books are right',
    tried: `stoa audit: ${findings.length} invariants after all of this`,
    result: broken.length === 0 ? 'all hold' : `${broken.length} broken`,
    kept: code === 0,
  }
}

async function prove(): Promise<boolean> {
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-prove-'))
  progress('starting a database and two services …')
  const database = await startEmbedded({ dataDir, log: () => {} })
  const claims: Claim[] = []
  let cluster: Cluster | undefined
  try {
    cluster = await startCluster({ url: database.appUrl, ownerUrl: database.ownerUrl }, { services: 2 })
    for (const [text, step] of [
      ['200 buyers of 7 units …', lastUnits],
      ['50 requests with one key …', oneKey],
      ['one webhook, 20 times …', oneWebhook],
      ['kill -9 under load …', killed],
      ['the audit …', books],
    ] as const) {
      progress(text)
      claims.push(await step(cluster))
    }
  } finally {
    progress('')
    await cluster?.stop()
    await database.stop()
    await rm(dataDir, { recursive: true, force: true })
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify(claims, null, 2))
  else
    console.log(
      table([
        ['claim', 'tried', 'result', ''].map((text) => pc.bold(text)),
        ...claims.map(({ claim, tried, result, kept }) => [
          claim,
          tried,
          result,
          kept ? pc.green('kept') : pc.red('BROKEN'),
        ]),
      ]),
    )
  return claims.every(({ kept }) => kept)
}

process.exitCode = (await prove()) ? 0 : 1
