import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { SandboxPayment } from '../../src/sandbox/ledger.ts'
import { startSandbox } from '../../src/sandbox/server.ts'
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
