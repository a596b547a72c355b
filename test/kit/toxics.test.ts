import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openToxicProxy, type Toxic, type ToxicProxy } from './toxics.ts'

/** A server that answers any request with a thousand bytes, and closes after those to `/close`. */
const BODY = 'x'.repeat(1_000)
let served = 0
const server = createServer((request, response) => {
  served += 1
  if (request.url === '/close') response.setHeader('connection', 'close')
  response.end(BODY)
})
let proxy: ToxicProxy
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const target = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  proxy = await openToxicProxy(() => target)
})
afterAll(async () => {
  await proxy.close()
  server.closeAllConnections()
  server.close()
})
beforeEach(() => {
  proxy.set()
  served = 0
})

type Heard = {
  readonly text: string
  readonly pieces: readonly number[]
  /** When the first and the last byte came, and when the connection ended, in milliseconds after the request. */
  readonly firstMs: number
  readonly lastMs: number
  readonly endMs: number
  /** How it ended; `open` when it had not after the wait. */
  readonly end: 'closed' | 'ECONNRESET' | 'open'
}

/** Sends a request over a connection of its own and listens until it ends, at most so long. */
function ask(path = '/close', waitMs = 3_000, before = async () => {}): Promise<Heard> {
  return new Promise((resolve) => {
    const { port } = new URL(proxy.url)
    const pieces: Buffer[] = []
    let [began, firstMs, lastMs] = [performance.now(), Number.NaN, Number.NaN]
    const passed = () => performance.now() - began
    const socket = connect(Number(port), '127.0.0.1', async () => {
      await before()
      began = performance.now()
      socket.write(`GET ${path} HTTP/1.1\r\nhost: toxic\r\n\r\n`)
    })
    const done = (end: Heard['end']) => {
      clearTimeout(timer)
      socket.destroy()
      const text = Buffer.concat(pieces).toString('latin1')
      resolve({ text, pieces: pieces.map(({ length }) => length), firstMs, lastMs, endMs: passed(), end })
    }
    const timer = setTimeout(() => done('open'), waitMs)
    socket
      .on('data', (piece) => {
        if (pieces.length === 0) firstMs = passed()
        lastMs = passed()
        pieces.push(piece)
      })
      .on('error', (error: NodeJS.ErrnoException) => done(error.code as 'ECONNRESET'))
      .on('end', () => done('closed'))
  })
}
const isWhole = ({ text }: Heard) => text.startsWith('HTTP/1.1 200') && text.endsWith(BODY)

test('without toxics everything comes through', async () => {
  const heard = await ask()
  expect(isWhole(heard)).toBe(true)
  expect(heard.end).toBe('closed')
  expect(heard.endMs).toBeLessThan(200)
})

test('latency with jitter: later by about so much, and whole', async () => {
  proxy.set({ type: 'latency', ms: 300, jitterMs: 100 })
  const all = await Promise.all(Array.from({ length: 10 }, () => ask()))
  for (const heard of all) {
    expect(isWhole(heard)).toBe(true)
    expect(heard.firstMs).toBeGreaterThanOrEqual(195)
    expect(heard.firstMs).toBeLessThan(700)
  }
  const times = all.map(({ firstMs }) => firstMs)
  expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(30)
})

test('bandwidth: a kilobyte takes its time', async () => {
  proxy.set({ type: 'bandwidth', bytesPerSecond: 2_000 })
  const heard = await ask()
  expect(isWhole(heard)).toBe(true)
  expect(heard.lastMs).toBeGreaterThan(450)
})

test('a black hole accepts and never answers, the server hears nothing, and open connections are in it too', async () => {
  const before = async () => proxy.set({ type: 'black-hole' })
  for (const heard of [await ask('/', 300, before), await ask('/', 300)])
    expect(heard).toMatchObject({ text: '', end: 'open' })
  expect(served).toBe(0)
})

test('reset, at once and after some bytes', async () => {
  proxy.set({ type: 'reset' })
  expect(await ask()).toMatchObject({ text: '', end: 'ECONNRESET' })
  proxy.set({ type: 'reset', afterBytes: 100 })
  const heard = await ask()
  expect(heard.end).toBe('ECONNRESET')
  expect(heard.text.length).toBeLessThanOrEqual(100)
})

test('a limit of bytes: cut off in good order', async () => {
  proxy.set({ type: 'limit', bytes: 50 })
  const heard = await ask()
  expect(heard.text).toHaveLength(50)
  expect(heard.end).toBe('closed')
})

test('slow close: all the answer, and the end of it later', async () => {
  proxy.set({ type: 'slow-close', ms: 400 })
  const heard = await ask()
  expect(isWhole(heard)).toBe(true)
  expect(heard.endMs - heard.lastMs).toBeGreaterThan(350)
})

test('drip: a byte each few milliseconds', async () => {
  proxy.set({ type: 'drip', everyMs: 20 })
  const heard = await ask('/close', 600)
  expect(heard.text.length).toBeGreaterThan(5)
  expect(heard.text.length).toBeLessThan(35)
  expect(heard.end).toBe('open')
})

test('slicer: whole, in small pieces', async () => {
  proxy.set({ type: 'slicer', bytes: 50 })
  const heard = await ask()
  expect(isWhole(heard)).toBe(true)
  expect(heard.pieces.length).toBeGreaterThan(10)
})

test('errors: half of the requests get a 500, and the server has heard of half of these', async () => {
  proxy.set({ type: 'errors', rate: 0.5 })
  const all = await Promise.all(Array.from({ length: 200 }, () => ask()))
  const failed = all.filter(({ text }) => text.startsWith('HTTP/1.1 500')).length
  expect(all.filter(isWhole)).toHaveLength(200 - failed)
  expect(failed).toBeGreaterThan(70)
  expect(failed).toBeLessThan(130)
  expect(served - (200 - failed)).toBeGreaterThan(20)
  expect(200 - served).toBeGreaterThan(20)
})

test('the control port replaces what is on', async () => {
  const toxics: Toxic[] = [{ type: 'reset' }]
  const switchTo = (list: Toxic[]) => fetch(proxy.controlUrl, { method: 'POST', body: JSON.stringify(list) })
  expect(await (await switchTo(toxics)).json()).toEqual(toxics)
  expect((await ask()).end).toBe('ECONNRESET')
  await switchTo([])
  expect(isWhole(await ask())).toBe(true)
})
