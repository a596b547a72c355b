import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { VariantId } from '#kernel/ids.ts'
import { systemActor } from '#platform/db/system.ts'
import { makeLog } from '#platform/telemetry/log.ts'
import { type App, buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { validateEveryAnswer } from './answers.ts'
import { testDatabase } from './database.ts'

export type TestShop = {
  readonly app: App
  readonly databaseUrl: string
  readonly ownerUrl: string
  /** The shop's clock, which stands still until it is moved. */
  readonly clock: { now: Date; advance(minutes: number): void }
  /** Sends a request in process; a write gets an Idempotency-Key of its own unless `headers` carry one. */
  readonly send: (method: Method, url: string, body?: object, headers?: Record<string, string>) => Promise<Sent>
  /** Logs the owner in, whose account is made on the first call: the headers that staff requests need. */
  readonly asOwner: () => Promise<{ authorization: string }>
  /** Puts a product with one variant on sale, by the staff's own routes; resolves with the variant's id. */
  readonly aProduct: (
    handle: string,
    of?: { units?: number; priceMinor?: number; currency?: string; taxable?: boolean },
  ) => Promise<VariantId>
  readonly close: () => Promise<void>
}
type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
export type Sent = {
  status: number
  body: any
  headers: Record<string, string | string[] | number | undefined>
  text: string
}

/** A shop on a database of its own, without a port and without background work: `app.settle()` runs what is due. */
export async function testShop(env: Record<string, string> = {}): Promise<TestShop> {
  validateEveryAnswer()
  const database = await testDatabase()
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-test-'))
  const config = readConfig({
    NODE_ENV: 'test',
    LOG_LEVEL: 'error',
    STOA_DATA_DIR: dataDir,
    PORT: '0',
    DATABASE_CONNECTIONS: '10',
    DRAIN_MS: '0',
    STAFF_MFA: 'optional',
    RATE_LIMITS: 'off',
    ...env,
  })
  const clock = {
    now: new Date(),
    advance(minutes: number) {
      clock.now = new Date(clock.now.getTime() + minutes * 60_000)
    },
  }
  const app = await buildApp(config, {
    databaseUrl: database.url,
    clock: () => clock.now,
    log: makeLog({ level: config.logLevel, sync: true }),
  })
  await app.http.ready()
  const send: TestShop['send'] = async (method, url, body, headers = {}) => {
    const key = method === 'GET' ? {} : { 'idempotency-key': randomUUID() }
    const response = await app.http.inject({
      method,
      url,
      headers: { ...key, ...headers },
      ...(body ? { payload: body } : {}),
    })
    const json = /json/.test(String(response.headers['content-type']))
    return {
      status: response.statusCode,
      body: json ? response.json() : undefined,
      headers: response.headers,
      text: response.body,
    }
  }
  let owner: { email: string; password: string } | undefined
  const asOwner = async () => {
    owner ??= await app.perform({ actor: systemActor, requestId: 'test-owner' }, (work) =>
      app.contexts.users.createOwner(work, { email: config.ownerEmail, name: 'Owner' }),
    )
    const { body } = await send('POST', '/v1/auth/login', owner)
    return { authorization: `Bearer ${body.accessToken}` }
  }
  return {
    app,
    databaseUrl: database.url,
    ownerUrl: database.ownerUrl,
    clock,
    send,
    asOwner,
    aProduct: async (handle, { units = 10, priceMinor = 1000, currency = 'USD', taxable = false } = {}) => {
      const variant = { prices: [{ amountMinor: priceMinor, currency }], onHand: units, taxable }
      const product = { title: handle, handle, status: 'active', variants: [variant] }
      const { status, body, text } = await send('POST', '/v1/products', product, await asOwner())
      if (status !== 201) throw new Error(text)
      return body.variants[0].id
    },
    close: async () => {
      await app.close()
      await database.drop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
