import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BreakerState, CallResult } from '#platform/resilience/call-watch.ts'
import {
  CallFailed,
  type HttpClient,
  type HttpClientOptions,
  makeHttpClient,
} from '#platform/resilience/http-client.ts'
import { freePort } from '../kit/free-port.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void
const say =
  (status: number, body: unknown = {}, headers: Record<string, string> = {}): Answer =>
  (_request, response) =>
    void response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
const hang: Answer = () => {}
const cut: Answer = (request) => void request.socket.destroy()

let answer: Answer
let requests: string[]
let server: ReturnType<typeof createServer>
let origin: string
const open: HttpClient[] = []
let results: CallResult[]
let states: BreakerState[]
beforeEach(async () => {
  answer = say(200)
  requests = []
  results = []
  states = []
  server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((closed) => server.close(closed))
  await Promise.all(open.splice(0).map((client) => client.close()))
})

function client(more: Partial<HttpClientOptions> = {}): HttpClient {
  const watch = {
    ended: (result: CallResult) => results.push(result),
    turned: (state: BreakerState) => states.push(state),
  }
  const made = makeHttpClient({
    origin,
    timeoutMs: 1_000,
    places: { atOnce: 32, waiting: 100 },
    watch,
    ...more,
  } as HttpClientOptions)
  open.push(made)
  return made
}
const READ = { method: 'GET', path: '/', repeatable: true } as const
const WRITE = { method: 'POST', path: '/', body: {}, repeatable: false } as const
const failureOf = async (calling: Promise<unknown>): Promise<CallFailed> => {
  const error = (await calling.catch((thrown) => thrown)) as CallFailed
  expect(error).toBeInstanceOf(CallFailed)
  return error
}
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

describe('repeats', () => {
  test.each([
    ['a 500', say(500)],
    ['a 503 page', say(503, '<html>')],
    ['a connection that breaks', cut],
    ['a 429', say(429)],
  ])('after %s a repeatable call is sent up to two times more', async (_what, bad) => {
    answer = (...args) => (requests.length < 3 ? bad : say(200, { ok: true }))(...args)
    expect(await client().call(READ)).toEqual({ status: 200, body: { ok: true } })
    expect(requests).toHaveLength(3)
    expect(results).toEqual(['answered'])
  })

  test('one that may not be repeated is sent once', async () => {
    for (const bad of [say(500), cut]) {
      answer = bad
      await failureOf(client().call(WRITE))
    }
    expect(requests).toHaveLength(2)
  })

  test('what the server says no to is an answer', async () => {
    answer = say(402, { error: 'declined' })
    expect(await client().call(READ)).toEqual({ status: 402, body: { error: 'declined' } })
    expect(requests).toHaveLength(1)
  })

  test('a try that runs out of time is not repeated', async () => {
    answer = hang
    const failed = await failureOf(client({ tryMs: 100 }).call(READ))
    expect(failed).toMatchObject({ answered: false, sent: true, response: undefined })
    expect(requests).toHaveLength(1)
    expect(results).toEqual(['silent'])
  })

  test('Retry-After is honoured when there is time for it, and else not waited for', async () => {
    answer = (...args) => (requests.length < 2 ? say(429, {}, { 'retry-after': '1' }) : say(200))(...args)
    const began = performance.now()
    expect((await client({ timeoutMs: 5_000 }).call(READ)).status).toBe(200)
    expect(performance.now() - began).toBeGreaterThan(950)
    answer = say(429, {}, { 'retry-after': '3' })
    const failed = await failureOf(client().call(READ))
    expect(failed).toMatchObject({ answered: true, sent: true, response: { status: 429 } })
    expect(requests).toHaveLength(3)
  })

  test('the whole ends in its time, repeats included', async () => {
    answer = (_request, response) => void setTimeout(() => response.writeHead(500).end(), 200)
    const began = performance.now()
    await failureOf(client({ timeoutMs: 300 }).call(READ))
    expect(performance.now() - began).toBeLessThan(400)
  })
})

describe('the circuit breaker', () => {
  const kill = async (http: HttpClient) => {
    answer = say(500)
    await Promise.all(times(25, () => failureOf(http.call(WRITE))))
  }

  test('opens after 25 failures: calls are refused at once and never sent', async () => {
    const http = client()
    await kill(http)
    expect(states).toEqual(['open'])
    const began = performance.now()
    const failed = await failureOf(http.call(READ))
    expect(performance.now() - began).toBeLessThan(50)
    expect(failed).toMatchObject({ answered: false, sent: false })
    expect(requests).toHaveLength(25)
    expect(results.at(-1)).toBe('refused')
  })

  test('opens when more than four of five of the last thirty failed', async () => {
    const http = client()
    for (let i = 0; i < 60 && states.length === 0; i += 1) {
      answer = say(i % 8 === 0 ? 200 : 500)
      await http.call(WRITE).catch(() => {})
    }
    expect(states).toEqual(['open'])
    expect(requests.length).toBeLessThan(40)
  })

  test('stays closed while half of the tries fail, for declines, and for 429', async () => {
    const http = client()
    for (let i = 0; i < 60; i += 1) {
      answer = say(i % 2 === 0 ? 200 : 500)
      await http.call(WRITE).catch(() => {})
    }
    for (const status of [402, 404, 409, 429]) {
      answer = say(status)
      await Promise.all(times(20, () => http.call(WRITE).catch(() => {})))
    }
    expect(states).toEqual([])
  })

  test('one call probes after two seconds, others are refused meanwhile; its success closes it', async () => {
    const http = client()
    await kill(http)
    await pause(2_050)
    answer = (_request, response) => void setTimeout(() => response.writeHead(200).end('{}'), 200)
    const outcomes = await Promise.all(
      times(5, () =>
        http.call(READ).then(
          ({ status }) => status,
          (error: CallFailed) => error.sent,
        ),
      ),
    )
    expect(outcomes).toEqual([200, false, false, false, false])
    expect(states).toEqual(['open', 'half-open', 'closed'])
    expect((await http.call(READ)).status).toBe(200)
  })

  test('a probe that fails opens it again, and a full house is no sign of health', async () => {
    const http = client({ places: { atOnce: 1, waiting: 0 }, urgentPlaces: { atOnce: 25, waiting: 0 }, tryMs: 900 })
    answer = hang
    const hanging = failureOf(http.call(READ))
    await pause(20)
    answer = say(500)
    await Promise.all(times(25, () => failureOf(http.call({ ...WRITE, urgent: true }))))
    expect(states).toEqual(['open'])
    expect(await failureOf(http.call(READ))).toMatchObject({ sent: false })
    await hanging
    await pause(2_050)
    await failureOf(http.call(READ))
    expect(states).toEqual(['open', 'half-open', 'open'])
  })

  test('a call that was sent before the breaker opened says what it heard', async () => {
    const http = client()
    answer = say(500)
    const failures = await Promise.all(times(25, () => failureOf(http.call(READ))))
    expect(states).toEqual(['open'])
    for (const failed of failures)
      expect(failed).toMatchObject({ sent: true, answered: true, response: { status: 500 } })
  })
})

describe('places', () => {
  test('beyond those under way and those that wait, calls are refused at once; nobody waits for a breaker that opened', async () => {
    const http = client({ places: { atOnce: 25, waiting: 30 }, tryMs: 200 })
    answer = hang
    const began = performance.now()
    const calls = times(70, () => failureOf(http.call(READ)))
    for (const failed of await Promise.all(calls.slice(55))) expect(failed.sent).toBe(false)
    expect(performance.now() - began).toBeLessThan(150)
    expect(requests.length).toBeLessThanOrEqual(25)
    const sent = (await Promise.all(calls)).filter((failed) => failed.sent)
    // Those whose turn came before the 25th had failed.
    expect(sent.length).toBeLessThan(51)
    expect(requests).toHaveLength(sent.length)
  })

  test('urgent calls and the others take nothing from each other', async () => {
    const http = client({ places: { atOnce: 2, waiting: 0 }, urgentPlaces: { atOnce: 2, waiting: 0 } })
    answer = hang
    const background = times(2, () => failureOf(http.call({ ...READ, path: '/background' })))
    await pause(20)
    answer = say(200)
    expect((await http.call({ ...READ, urgent: true })).status).toBe(200)
    expect((await failureOf(http.call(READ))).sent).toBe(false)
    await Promise.all(background)
  })
})

describe('what was sent', () => {
  test('nothing, when there is nobody to connect to', async () => {
    const http = client({ origin: `http://127.0.0.1:${await freePort()}` })
    expect(await failureOf(http.call(READ))).toMatchObject({ sent: false, answered: false })
    expect(await failureOf(client({ origin: 'http://server.invalid' }).call(READ))).toMatchObject({ sent: false })
  })

  test('perhaps everything, when the connection broke', async () => {
    answer = cut
    expect(await failureOf(client().call(WRITE))).toMatchObject({ sent: true, answered: false })
  })

  test('something, when an earlier call under the same deadline was', async () => {
    const http = client({ places: { atOnce: 1, waiting: 0 } })
    const signal = http.deadline()
    await http.call(WRITE, signal)
    answer = hang
    const other = failureOf(http.call(WRITE))
    expect(await failureOf(http.call(WRITE, signal))).toMatchObject({ sent: true })
    await other
  })
})

describe('as the fetch of an SDK', () => {
  const stripe = (http: HttpClient) =>
    new Stripe('sk_test_of_nobody', {
      host: '127.0.0.1',
      port: new URL(origin).port,
      protocol: 'http',
      maxNetworkRetries: 0,
      httpClient: Stripe.createFetchHttpClient(http.fetch()),
    })

  test('repeats what has a key, answers any status, follows no redirect', async () => {
    const http = client()
    answer = (...args) =>
      (requests.length < 2 ? say(500) : say(402, { error: { type: 'card_error', code: 'card_declined' } }))(...args)
    await expect(stripe(http).paymentIntents.create({ amount: 1, currency: 'usd' })).rejects.toMatchObject({
      statusCode: 402,
      code: 'card_declined',
    })
    expect(requests).toHaveLength(2)
    answer = say(302, {}, { location: 'http://elsewhere.invalid/' })
    expect((await http.fetch()(`${origin}/x`, { method: 'GET', headers: {} })).status).toBe(302)
    await expect(http.fetch()('http://elsewhere.invalid/', { method: 'GET', headers: {} })).rejects.toThrow(CallFailed)
  })

  test('an answer that is too long, and one that never comes, are told as what they are', async () => {
    answer = say(200, 'x'.repeat(2_000_000))
    const long = await stripe(client())
      .paymentIntents.retrieve('pi_1')
      .catch((error) => error)
    expect(long.detail).toMatchObject({ name: 'CallFailed', message: expect.stringContaining('too long') })
    answer = cut
    requests = []
    const broken = await stripe(client())
      .paymentIntents.create({ amount: 1, currency: 'usd' })
      .catch((error) => error)
    expect(broken.detail).toMatchObject({ name: 'CallFailed', sent: true, answered: false })
    expect(requests).toHaveLength(3)
  })
})
