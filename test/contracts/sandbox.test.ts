import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { SandboxPayment } from '../../src/sandbox/ledger.ts'
import { type Sandbox, type SandboxOptions, startSandbox } from '../../src/sandbox/server.ts'
import { type Inbox, openInbox } from '../kit/inbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'sandbox-'))
const journalFile = join(folder, 'sandbox.jsonl')
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
  rmSync(journalFile, { force: true })
})

const options = { port: 0, secret: 's', apiKey: 'k', webhookDelayMs: 5, duplicateRate: 0 }
async function anInbox(): Promise<Inbox> {
  const inbox = await openInbox()
  open.push(inbox)
  return inbox
}
const post = (url: string, path: string, body: object, key = 'k', idempotencyKey?: string) =>
  fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...(idempotencyKey ? { 'idempotency-key': idempotencyKey } : {}) },
    body: JSON.stringify(body),
  })
const payment = { reference: 'r', amount: 500, currency: 'USD', token: 'tok_ok' }
const read = async (response: Response) => (await response.json()) as SandboxPayment
async function aSandbox(more: Partial<SandboxOptions> = {}): Promise<{ sandbox: Sandbox; inbox: Inbox }> {
  const inbox = await anInbox()
  const sandbox = await startSandbox({ ...options, webhookUrl: inbox.url, processingMs: 30, ...more })
  open.push(sandbox)
  return { sandbox, inbox }
}
const told = ({ received }: Inbox): string[] => received.map(({ body }) => JSON.parse(body.toString()).type)
const eventually = async (holds: () => boolean) => {
  for (let waited = 0; !holds(); waited += 10) {
    if (waited > 8_000) throw new Error('It never came to be.')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('killed with -9, it knows every payment it answered for, its keys, and the webhooks it still owes', async () => {
  const inbox = await anInbox()
  inbox.answer = 503
  const child = spawn(process.execPath, [
    'src/sandbox/main.ts',
    ...['--port', '0', '--webhook-url', inbox.url, '--secret', 's', '--api-key', 'k', '--journal', journalFile],
  ])
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /http\S+/.exec(String(line))?.[0] ?? ''
  const made = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => read(await post(url, '/v1/payments', payment, 'k', `key-${index}`))),
  )
  child.kill('SIGKILL')
  await once(child, 'exit')
  inbox.answer = 204
  const again = await startSandbox({ ...options, webhookUrl: inbox.url, journalFile })
  open.push(again)
  expect(
    again
      .ledger()
      .payments.map(({ id }) => id)
      .sort(),
  ).toEqual(made.map(({ id }) => id).sort())
  expect(await read(await post(again.url, '/v1/payments', payment, 'k', 'key-7'))).toEqual(made[7])
  const told = () => new Set(inbox.received.map(({ body }) => JSON.parse(body.toString()).data.payment.id))
  await eventually(() => told().size === 20)
})

test('a webhook that is not taken comes again, and one in so many comes twice', async () => {
  const inbox = await anInbox()
  inbox.answer = 500
  const sandbox = await startSandbox({ ...options, webhookUrl: inbox.url, duplicateRate: 1 })
  open.push(sandbox)
  await post(sandbox.url, '/v1/payments', payment)
  await eventually(() => inbox.received.length >= 2)
  inbox.answer = 204
  await eventually(() => inbox.received.length >= 4)
  expect(new Set(inbox.received.map(({ body }) => JSON.parse(body.toString()).id)).size).toBe(1)
})

test.each([
  ['no key', '/v1/payments', payment, 'wrong', 401],
  ['an amount below the minimum', '/v1/payments', { ...payment, amount: 49 }, 'k', 422],
  ['a fraction', '/v1/payments', { ...payment, amount: 1.5 }, 'k', 422],
  ['no reference', '/v1/payments', { ...payment, reference: 7 }, 'k', 422],
  ['a bad currency', '/v1/payments', { ...payment, currency: 'dollars' }, 'k', 422],
  ['a list', '/v1/payments', [], 'k', 400],
  ['an unknown payment', '/v1/payments/sbx_pay_0/cancel', {}, 'k', 404],
  ['an unknown resource', '/v1/money', {}, 'k', 404],
])('refuses %s', async (_what, path, body, key, status) => {
  const sandbox = await startSandbox({ ...options, webhookUrl: (await anInbox()).url })
  open.push(sandbox)
  const answer = await post(sandbox.url, path, body, key)
  expect(answer.status).toBe(status)
  expect(await answer.json()).toMatchObject({ error: { code: expect.any(String) } })
  expect(sandbox.ledger().payments).toEqual([])
})

test('authorised money is captured, all or a part, once', async () => {
  const sandbox = await startSandbox({ ...options, webhookUrl: (await anInbox()).url })
  open.push(sandbox)
  const { id, status } = await read(await post(sandbox.url, '/v1/payments', { ...payment, capture: 'manual' }))
  expect(status).toBe('requires_capture')
  expect(await (await post(sandbox.url, `/v1/payments/${id}/capture`, { amount: 200 })).json()).toMatchObject({
    amountCaptured: 200,
  })
  expect((await post(sandbox.url, `/v1/payments/${id}/capture`, {})).status).toBe(409)
  expect((await post(sandbox.url, `/v1/payments/${id}/refunds`, { amount: 201 })).status).toBe(409)
})

test('asked twice with one key to capture, it captures once and answers the same', async () => {
  const { sandbox, inbox } = await aSandbox()
  const { id } = await read(await post(sandbox.url, '/v1/payments', { ...payment, capture: 'manual' }))
  const capture = () => post(sandbox.url, `/v1/payments/${id}/capture`, { amount: 200 }, 'k', 'cap-1')
  const answers = await Promise.all([capture(), capture(), capture()])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  await eventually(() => told(inbox).length >= 2)
  expect(told(inbox).sort()).toEqual(['payment.authorised', 'payment.succeeded'])
})

test('authorised money that nobody captures is let go, also when the time passes between two runs', async () => {
  const { sandbox, inbox } = await aSandbox({ authorisedMs: 400, journalFile })
  const made = await read(await post(sandbox.url, '/v1/payments', { ...payment, capture: 'manual' }))
  expect(Date.parse(made.authorisedUntil ?? '')).toBeGreaterThan(Date.now())
  await sandbox.close()
  open.splice(open.indexOf(sandbox), 1)
  const again = await startSandbox({ ...options, webhookUrl: inbox.url, journalFile })
  open.push(again)
  await eventually(() => told(inbox).includes('payment.cancelled'))
  expect(again.ledger().payments).toMatchObject([{ status: 'cancelled', authorisedUntil: null, amountCaptured: 0 }])
  expect((await post(again.url, `/v1/payments/${made.id}/capture`, {})).status).toBe(409)
})

test('captured in time, authorised money does not lapse', async () => {
  const { sandbox } = await aSandbox({ authorisedMs: 150 })
  const { id } = await read(await post(sandbox.url, '/v1/payments', { ...payment, capture: 'manual' }))
  await post(sandbox.url, `/v1/payments/${id}/capture`, { amount: 200 })
  await new Promise((resolve) => setTimeout(resolve, 250))
  expect(sandbox.ledger().payments).toMatchObject([{ status: 'succeeded', amountCaptured: 200 }])
})

test.each([
  ['tok_refund_pending', 'pending', 'succeeded', 300],
  ['tok_refund_fails', 'pending', 'failed', 0],
  ['tok_refund_returned', 'succeeded', 'failed', 0],
] as const)('a refund of %s is %s, then %s', async (token, first, last, amountRefunded) => {
  const { sandbox, inbox } = await aSandbox({ processingMs: 500 })
  const { id } = await read(await post(sandbox.url, '/v1/payments', { ...payment, token }))
  const refund = { amount: 300, metadata: { refundId: 'r' } }
  expect(await (await post(sandbox.url, `/v1/payments/${id}/refunds`, refund)).json()).toMatchObject({ status: first })
  expect(sandbox.ledger().payments[0]?.amountRefunded).toBe(300)
  expect((await post(sandbox.url, `/v1/payments/${id}/refunds`, { amount: 201 })).status).toBe(409)
  await eventually(() => told(inbox).includes(`refund.${last}`))
  expect(told(inbox)).toContain(`refund.${first}`)
  expect(sandbox.ledger()).toMatchObject({ payments: [{ amountRefunded }], refunds: [{ status: last, payment: id }] })
})

test('a dispute takes money that can then not be refunded; won, it comes back', async () => {
  const { sandbox, inbox } = await aSandbox()
  const { id } = await read(await post(sandbox.url, '/v1/payments', payment))
  const open = { amount: 400, reason: 'product_not_received' }
  const dispute = (await (await post(sandbox.url, `/v1/payments/${id}/disputes`, open)).json()) as { id: string }
  expect(dispute).toMatchObject({ ...open, payment: id, status: 'open', currency: 'USD' })
  expect((await post(sandbox.url, `/v1/payments/${id}/disputes`, { amount: 101, reason: 'x' })).status).toBe(422)
  expect((await post(sandbox.url, `/v1/payments/${id}/refunds`, { amount: 101 })).status).toBe(409)
  const close = (outcome: string) => post(sandbox.url, `/v1/disputes/${dispute.id}/close`, { outcome })
  expect((await close('perhaps')).status).toBe(422)
  expect((await close('won')).status).toBe(200)
  expect((await close('lost')).status).toBe(409)
  expect((await post(sandbox.url, `/v1/payments/${id}/refunds`, { amount: 500 })).status).toBe(201)
  await eventually(() => told(inbox).length === 4)
  expect(told(inbox)).toEqual(expect.arrayContaining(['dispute.opened', 'dispute.won']))
  expect(sandbox.ledger().disputes).toEqual([{ ...dispute, status: 'won' }])
})

test('tok_dispute is paid, and disputed a moment later, once; the bank page ends it', async () => {
  const { sandbox, inbox } = await aSandbox()
  const { id, status } = await read(await post(sandbox.url, '/v1/payments', { ...payment, token: 'tok_dispute' }))
  expect(status).toBe('succeeded')
  await eventually(() => told(inbox).includes('dispute.opened'))
  expect(await (await fetch(`${sandbox.url}/pay/${id}`)).text()).toContain('The shop loses')
  await fetch(`${sandbox.url}/pay/${id}/won`, { method: 'POST', redirect: 'manual' })
  await eventually(() => told(inbox).includes('dispute.won'))
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(sandbox.ledger().disputes).toMatchObject([{ payment: id, amount: 500, status: 'won' }])
})

test('what went back in full before it could be disputed is not disputed', async () => {
  const { sandbox } = await aSandbox()
  const { id } = await read(await post(sandbox.url, '/v1/payments', { ...payment, token: 'tok_dispute' }))
  await post(sandbox.url, `/v1/payments/${id}/refunds`, { amount: 500 })
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(sandbox.ledger()).toMatchObject({ payments: [{ status: 'succeeded', amountRefunded: 500 }], disputes: [] })
})

test('a buyer disputes on the page of the bank, while there is something left', async () => {
  const { sandbox } = await aSandbox()
  const { id } = await read(await post(sandbox.url, '/v1/payments', payment))
  const page = async () => (await fetch(`${sandbox.url}/pay/${id}`)).text()
  expect(await page()).toContain('Dispute it')
  await fetch(`${sandbox.url}/pay/${id}/dispute`, { method: 'POST', redirect: 'manual' })
  expect(await page()).not.toContain('Dispute it')
  expect(sandbox.ledger().disputes).toMatchObject([{ payment: id, status: 'open' }])
})

test('reads a journal from before payments carried their refunds and disputes', async () => {
  const { sandbox, inbox } = await aSandbox({ journalFile })
  const { id } = await read(await post(sandbox.url, '/v1/payments', payment))
  await post(sandbox.url, `/v1/payments/${id}/refunds`, { amount: 200 })
  const [refund] = sandbox.ledger().refunds
  await sandbox.close()
  open.splice(open.indexOf(sandbox), 1)
  const since = ['refunds', 'disputes', 'authorisedUntil', 'token']
  const older = readFileSync(journalFile, 'utf8').trim().split('\n')
  const lines = older.map((line) =>
    JSON.stringify(JSON.parse(line, (key, value) => (since.includes(key) ? undefined : value))),
  )
  writeFileSync(journalFile, `${[...lines, JSON.stringify({ refund })].join('\n')}\n`)
  const again = await startSandbox({ ...options, webhookUrl: inbox.url, journalFile })
  open.push(again)
  expect(again.ledger()).toMatchObject({
    payments: [{ id, amountRefunded: 200, refunds: [refund], disputes: [], authorisedUntil: null }],
    refunds: [refund],
  })
  expect((await post(again.url, `/v1/payments/${id}/refunds`, { amount: 301 })).status).toBe(409)
  expect((await post(again.url, `/v1/payments/${id}/refunds`, { amount: 300 })).status).toBe(201)
})
