import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type Stripe from 'stripe'
import { afterEach, describe, expect, test } from 'vitest'
import { freePort } from '../kit/free-port.ts'
import { type Inbox, openInbox } from '../kit/inbox.ts'
import { startStripeProcess } from '../kit/stripe/process.ts'
import { failureOf, twentyDollars as paid, sdkOf } from '../kit/stripe/sdk.ts'
import { type StripeDouble, type StripeOptions, startStripe } from '../kit/stripe/server.ts'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
})

let inbox: Inbox
let stripe: StripeDouble
let sdk: Stripe
async function start(options: StripeOptions = {}): Promise<void> {
  inbox = await openInbox()
  stripe = await startStripe({ webhookUrl: inbox.url, latencyMs: 0, ...options })
  sdk = sdkOf(stripe)
  open.push(inbox, stripe)
}
const bodies = (): Stripe.Event[] => inbox.received.map(({ body }) => JSON.parse(body.toString()))
const received = () => bodies().map(({ id }) => id)
const told = () => stripe.events().map(({ id }) => id)
const inOrder = (ids: string[]) => [...ids].sort()

describe('webhooks', () => {
  test('carry a signature of each secret', async () => {
    await start({ secrets: ['whsec_old', 'whsec_new'] })
    const intent = await sdk.paymentIntents.create(paid())
    await expect.poll(() => inbox.received.length).toBe(3)
    const [{ headers, body }] = inbox.received as [Inbox['received'][0]]
    const verified = (secret: string) =>
      sdk.webhooks.constructEvent(body, headers['stripe-signature'] as string, secret)
    for (const secret of ['whsec_old', 'whsec_new'])
      expect(verified(secret)).toMatchObject({ object: 'event', api_version: '2026-10-28.endive', livemode: false })
    expect(() => verified('whsec_other')).toThrow()
    expect(bodies().find(({ type }) => type === 'payment_intent.succeeded')?.data.object).toEqual(intent)
    expect(await sdk.events.retrieve(received()[0]!)).toEqual(bodies()[0])
    stripe.webhooks({ secrets: ['whsec_new'] })
    const event = stripe.webhookOf(told()[0]!)
    expect(() => sdk.webhooks.constructEvent(event.body, event.headers['stripe-signature'], 'whsec_old')).toThrow()
  })

  test('come until they are taken', async () => {
    await start({ webhooks: { retryMs: 10 } })
    inbox.answer = 503
    await sdk.paymentIntents.create(paid())
    await expect.poll(() => inbox.received.length).toBeGreaterThanOrEqual(9)
    inbox.answer = 204
    await expect.poll(stripe.owed, { timeout: 5_000 }).toEqual([])
    const enough = inbox.received.length
    await pause(200)
    expect(inbox.received.length).toBe(enough)
    expect(new Set(received())).toEqual(new Set(told()))
  })

  test('come twice, not at all, or in another order, the same for the same seed', async () => {
    await start({ webhooks: { duplicateRate: 1 } })
    await sdk.paymentIntents.create(paid())
    await expect.poll(() => inOrder(received())).toEqual(inOrder([...told(), ...told()]))
    const before = inbox.received.length
    stripe.webhooks({ dropRate: 1 })
    await sdk.paymentIntents.create(paid())
    await pause(50)
    expect(inbox.received.length).toBe(before)
    stripe.webhooks({ dropRate: 0, duplicateRate: 0, jitterMs: 60 })
    for (let index = 0; index < 3; index++) await sdk.paymentIntents.create(paid())
    await expect.poll(() => inbox.received.length).toBe(before + 9)
    expect(received().slice(before)).not.toEqual(told().slice(6))
    expect(inOrder(received().slice(before))).toEqual(inOrder(told().slice(6)))
  })

  test('are held for a test that plays them itself, in any order and as often as it likes', async () => {
    await start({ webhooks: { hold: true } })
    await sdk.paymentIntents.create(paid())
    await pause(30)
    expect(inbox.received).toEqual([])
    const [created, charged, succeeded] = told() as [string, string, string]
    const played = [succeeded, created, succeeded]
    for (const id of played) expect(await stripe.deliver(id)).toBe(204)
    expect(received()).toEqual(played)
    stripe.webhooks({ hold: false })
    await expect.poll(received).toEqual([...played, charged])
    expect(stripe.owed()).toEqual([])
  })
})

test('killed with -9, it knows what it answered for, its keys, its ledger and the webhooks it still owes', async () => {
  const receiver = await openInbox()
  open.push(receiver)
  receiver.answer = 503
  const journalFile = join(mkdtempSync(join(tmpdir(), 'stripe-double-')), 'journal.jsonl')
  const port = await freePort()
  const options = { port, journalFile, webhookUrl: receiver.url, secret: 'whsec_1' }
  const first = await startStripeProcess(options)
  const client = sdkOf({ port, apiKey: 'sk_test_double' })
  const pay = (index: number) => client.paymentIntents.create(paid(), { idempotencyKey: `key-${index}` })
  const made = await Promise.all(Array.from({ length: 20 }, (_, index) => pay(index)))
  await client.refunds.create({ payment_intent: made[3]!.id, amount: 700 })
  const processing = await client.paymentIntents.create(paid('pm_processing'))
  await first.command('faults', { fault: { kind: 'rate-limit' } })
  expect(await failureOf(client.paymentIntents.list())).toMatchObject({ statusCode: 429 })
  const ledger = await first.command('ledger')
  expect(ledger.totals.usd).toMatchObject({ captured: 40_000, refunded: 700, balance: 39_300 })
  await first.end('SIGKILL')
  receiver.answer = 204
  const second = await startStripeProcess(options)
  open.push({ close: () => second.end('SIGTERM').then(() => undefined) })
  expect((await second.command('ledger')).postings.slice(0, 21)).toEqual(ledger.postings)
  expect(await pay(7)).toEqual(made[7])
  const ended = async () => (await client.paymentIntents.retrieve(processing.id)).status
  await expect.poll(ended, { timeout: 5_000 }).toBe('succeeded')
  await expect.poll(() => second.command('owed'), { timeout: 8_000 }).toEqual([])
  const taken = new Set(receiver.received.map(({ body }) => JSON.parse(body.toString()).id))
  expect((await second.command('events')).filter(({ id }) => !taken.has(id))).toEqual([])
  await expect(second.command('dispute', 'pi_0')).rejects.toThrow('No such payment_intent')
})
