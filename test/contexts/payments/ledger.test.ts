import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parse } from 'csv-parse/sync'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toDecimal } from '#kernel/money.ts'
import type { PayableShop } from './shop.ts'
import { payableShop } from './shop.ts'

/** What the books hold in this file: three days, three currencies of 0, 2 and 3 digits, captures and refunds. */
let at: PayableShop
let owner: { authorization: string }
let asOwner: pg.Client
let orderId: string
let paymentId: string
beforeAll(async () => {
  at = await payableShop()
  asOwner = new pg.Client({ connectionString: at.shop.ownerUrl })
  await asOwner.connect()
  at.shop.clock.now = new Date('2026-11-23T23:59:30Z')
  for (const [amountMinor, currency] of [
    [1999, 'USD'],
    [500, 'JPY'],
    [12_345, 'KWD'],
  ] as const)
    for (let count = 0; count < 2; count += 1) {
      const payment = await at.openPayment(amountMinor, currency)
      expect((await at.attempt(payment, 'tok_ok')).body.status).toBe('succeeded')
      at.shop.clock.advance(0.5)
      owner = await at.shop.asOwner()
      const refund = { amount: { amountMinor: 100 + count, currency }, reason: 'Broken' }
      expect((await at.shop.send('POST', `/v1/payments/${payment.id}/refunds`, refund, owner)).status).toBe(201)
      ;({ id: paymentId, orderId } = payment)
      at.shop.clock.advance(12 * 60)
    }
  owner = await at.shop.asOwner()
})
afterAll(async () => {
  await asOwner?.end()
  await at?.close()
})

const get = (path: string) => at.shop.send('GET', path, undefined, owner)
type Entry = {
  id: number
  bookedAt: string
  kind: string
  debit: string
  credit: string
  amount: { amountMinor: number; currency: string }
}
type Account = { account: string; debit: Entry['amount']; credit: Entry['amount']; balance: Entry['amount'] }
type Day = { day: string; accounts: Account[] }

/** All pages of a list. */
async function all<Item>(path: string, limit: number): Promise<Item[]> {
  const found: Item[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { status, body, text } = await get(`${path}limit=${limit}${cursor && `&cursor=${cursor}`}`)
    expect(status, text).toBe(200)
    expect(body.data.length).toBeLessThanOrEqual(limit)
    found.push(...body.data)
    cursor = body.nextCursor
  }
  return found
}
const booked = () => at.query(sql<{ id: number }>`select id from payments.ledger order by booked_at desc, id desc`)
const sumsOf = async () =>
  Object.fromEntries(
    (
      await at.query(sql<{ currency: string; sum: number }>`
        select currency, sum(amount_minor)::bigint as sum from payments.ledger group by 1`)
    ).map(({ currency, sum }) => [currency, sum]),
  )

describe('what was booked stays', () => {
  const changes = [
    'update payments.ledger set amount_minor = amount_minor + 1',
    'update payments.ledger set debit = credit, credit = debit where false',
    'delete from payments.ledger',
    'truncate payments.ledger',
    'truncate payments.payments cascade',
  ]
  test.each(changes)('the service may not: %s', async (change) => {
    await expect(at.query(sql.raw(change))).rejects.toThrow('permission denied')
  })

  test.each([
    ...changes,
    'insert into payments.ledger overriding system value select * from payments.ledger on conflict (id) do update set amount_minor = 1',
  ])('nor does its owner: %s', async (change) => {
    const before = await sumsOf()
    await expect(asOwner.query(change)).rejects.toThrow('what was booked stays')
    expect(await sumsOf()).toEqual(before)
  })

  const entry = {
    payment_id: '(select id from payments.payments limit 1)',
    kind: "'capture'",
    ...{ debit: "'provider:sandbox'", credit: "'sales'", amount_minor: '1', currency: "'USD'", booked_at: 'now()' },
  }
  test.each([
    ['without a side', { credit: 'null' }],
    ['without the other', { debit: 'null' }],
    ['from an account to itself', { credit: "'provider:sandbox'" }],
    ['of nothing', { amount_minor: '0' }],
    ['of less than nothing', { amount_minor: '-1' }],
    ['of no currency', { currency: 'null' }],
    ['of no payment', { payment_id: "'pay_none'" }],
    ['of a refund without one', { kind: "'refund'" }],
    ['of a dispute without one', { kind: "'dispute'" }],
    ['of another kind', { kind: "'gift'" }],
  ])('an entry %s is none', async (_what, wrong) => {
    const row = { ...entry, ...wrong }
    const insert = `insert into payments.ledger (${Object.keys(row)}) values (${Object.values(row)})`
    await expect(asOwner.query(insert)).rejects.toThrow(/violates|null value/)
  })
})

describe('statements', () => {
  test('of a payment and of an order: every entry, what was booked last first', async () => {
    const { body } = await get(`/v1/ledger?paymentId=${paymentId}`)
    expect(body.data).toMatchObject([
      { kind: 'refund', debit: 'sales', credit: 'provider:sandbox', amount: { amountMinor: 101, currency: 'KWD' } },
      { kind: 'capture', debit: 'provider:sandbox', credit: 'sales', amount: { amountMinor: 12_345, currency: 'KWD' } },
    ])
    expect(body.data[0]).toMatchObject({ orderId, orderNumber: '1001', paymentId, refundId: expect.any(String) })
    expect((await get(`/v1/ledger?orderId=${orderId}`)).body).toEqual(body)
  })

  test.each([1, 3, 100])('in pages of %i: each entry once', async (limit) => {
    const ids = (await all<Entry>('/v1/ledger?', limit)).map(({ id }) => id)
    expect(ids).toEqual((await booked()).map(({ id }) => id))
  })

  test('of a time', async () => {
    const [from, before] = ['2026-11-24T00:00:00.000Z', '2026-11-25T00:00:00.000Z']
    const entries = await all<Entry>(`/v1/ledger?from=${from}&before=${before}&`, 100)
    expect(entries.length).toBeGreaterThan(1)
    expect(entries.every(({ bookedAt }) => bookedAt >= from && bookedAt < before)).toBe(true)
    expect(entries).toHaveLength(
      (await booked()).length -
        (await all(`/v1/ledger?before=${from}&`, 100)).length -
        (await all(`/v1/ledger?from=${before}&`, 100)).length,
    )
  })

  /** The same sums, from the entries themselves. */
  const daysOf = (entries: readonly Entry[]): Day[] => {
    const days = Map.groupBy(entries, ({ bookedAt }) => bookedAt.slice(0, 10))
    return [...days].map(([day, its]) => {
      const sides = its.flatMap(({ debit, credit, amount: { amountMinor, currency } }) => [
        { key: `${currency} ${debit}`, debit: amountMinor, credit: 0 },
        { key: `${currency} ${credit}`, debit: 0, credit: amountMinor },
      ])
      const accounts = [...Map.groupBy(sides, ({ key }) => key)].sort(([one], [other]) => (one < other ? -1 : 1))
      return {
        day,
        accounts: accounts.map(([key, moved]) => {
          const [currency = '', account = ''] = key.split(' ')
          const sum = (side: 'debit' | 'credit') => moved.reduce((total, one) => total + one[side], 0)
          const [debit, credit] = [sum('debit'), sum('credit')]
          const money = (amountMinor: number) => ({ amountMinor, currency })
          return { account, debit: money(debit), credit: money(credit), balance: money(debit - credit) }
        }),
      }
    })
  }

  test.each([1, 2, 100])('of each day (UTC), in pages of %i', async (limit) => {
    const days = await all<Day>('/v1/ledger/days?', limit)
    expect(days).toEqual(daysOf(await all<Entry>('/v1/ledger?', 100)))
    expect(days.map(({ day }) => day)).toEqual(['2026-11-26', '2026-11-25', '2026-11-24', '2026-11-23'])
  })

  test('of each day in one currency, of a time; each balances to zero', async () => {
    const days = await all<Day>('/v1/ledger/days?currency=USD&before=2026-11-24T12:00:00Z&', 1)
    const entries = await all<Entry>('/v1/ledger?before=2026-11-24T12:00:00Z&', 100)
    expect(days).toEqual(daysOf(entries.filter(({ amount }) => amount.currency === 'USD')))
    expect(days.length).toBeGreaterThan(1)
    for (const { accounts } of days) expect(accounts.reduce((sum, one) => sum + one.balance.amountMinor, 0)).toBe(0)
    expect(await all<Day>('/v1/ledger/days?currency=EUR&', 10)).toEqual([])
  })

  test.each([
    'ledger?from=yesterday',
    'ledger?orderId=1',
    'ledger/days?currency=usd',
    'ledger?cursor=x',
    'ledger?sort=id',
  ])('refuses %s', async (path) => expect((await get(`/v1/${path}`)).status).toBe(400))
})

type Line = Record<
  'bookedAt' | 'entry' | 'order' | 'payment' | 'refund' | 'kind' | 'debit' | 'currency' | 'amountMinor' | 'amount',
  string
>
const read = (text: string): Line[] => parse(text, { columns: true })
const sumOf = (lines: readonly Line[]) => {
  const sums: Record<string, number> = {}
  for (const { currency, amountMinor } of lines) sums[currency] = (sums[currency] ?? 0) + Number(amountMinor)
  return sums
}

/** Node's own, which it hides unless asked. */
const collectGarbage = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

describe('the export for accounting', () => {
  test('has every entry once, in the order they were booked, and sums to the books exactly', async () => {
    const sent = await get('/v1/exports/ledger')
    expect(sent.headers['content-type']).toContain('text/csv')
    const lines = read(sent.text)
    expect(lines.map(({ entry }) => Number(entry))).toEqual((await booked()).map(({ id }) => id).reverse())
    expect(sumOf(lines)).toEqual(await sumsOf())
    expect(new Set(lines.map(({ currency }) => currency))).toEqual(new Set(['USD', 'JPY', 'KWD']))
    for (const { amount, amountMinor, currency } of lines)
      expect(amount).toBe(toDecimal({ amountMinor: Number(amountMinor), currency }))
    expect(lines.find(({ currency }) => currency === 'JPY')?.amount).toBe('500')
    expect(lines.find(({ currency }) => currency === 'KWD')?.amount).toBe('12.345')
    const { body } = await get('/v1/audit-log?action=ledger.export')
    expect(body.data).toHaveLength(1)
  })

  test('of a time', async () => {
    const lines = read((await get('/v1/exports/ledger?from=2026-11-24T00:00:00Z&before=2026-11-25T00:00:00Z')).text)
    expect(new Set(lines.map(({ bookedAt }) => bookedAt.slice(0, 10)))).toEqual(new Set(['2026-11-24']))
  })

  test('has no cell that a spreadsheet would run', async () => {
    await at.query(sql`update payments.payments set order_number = '=1+1' where id = ${paymentId}`)
    const { text } = await get('/v1/exports/ledger')
    expect(read(text).filter(({ payment }) => payment === paymentId)).toMatchObject([
      { order: "'=1+1" },
      { order: "'=1+1" },
    ])
    await at.query(sql`update payments.payments set order_number = '1001' where id = ${paymentId}`)
  })

  test('is written by an operator too, who is told what it comes to', async () => {
    const { dataDir } = at.shop.app.config
    const env = {
      ...process.env,
      NODE_ENV: 'test',
      LOG_LEVEL: 'error',
      STOA_DATA_DIR: dataDir,
      DATABASE_URL: at.shop.databaseUrl,
      DATABASE_OWNER_URL: at.shop.ownerUrl,
      SANDBOX_URL: at.sandbox.url,
    }
    const stoa = (...args: string[]) =>
      spawnSync(fileURLToPath(new URL('../../../bin/stoa', import.meta.url)), args, { env, encoding: 'utf8' })
    const out = join(dataDir, 'ledger.csv')
    const span = ['--from', '2026-11-23', '--before', '2026-11-25T00:00:00Z']
    const told = JSON.parse(stoa('export', 'ledger', ...span, '--out', out, '--json').stdout)
    const lines = read(readFileSync(out, 'utf8'))
    expect(told.entries).toBe(lines.length)
    const sums = told.sums.map(({ currency, amountMinor }: Entry['amount']) => [currency, amountMinor])
    expect(Object.fromEntries(sums)).toEqual(sumOf(lines))
    const piped = stoa('export', 'ledger', ...span)
    expect(piped.stdout).toBe(readFileSync(out, 'utf8'))
    expect(piped.stderr).toMatch(/^\d+ entries, [\d.]+ USD/)
    expect(stoa('export', 'ledger', '--from', 'x').status).toBe(1)
  }, 60_000)

  test('runs in flat memory, however long the books are', async () => {
    const entries = Number(process.env.LEDGER_ENTRIES ?? 20_000)
    await asOwner.query(
      `insert into payments.ledger (payment_id, kind, debit, credit, amount_minor, currency, booked_at)
       select $1, 'capture', 'provider:sandbox', 'sales', n, 'KWD', timestamptz '2026-12-01' + n / 3 * interval '1 s'
       from generate_series(1, $2::int) n`,
      [paymentId, entries],
    )
    await asOwner.query('analyze payments.ledger')
    let [pieces, bytes, lines, peak, base] = [0, 0, 0, 0, 0]
    const start = performance.now()
    for await (const piece of at.shop.app.contexts.payments.exportLedger({})) {
      bytes += piece.length
      lines += piece.split('\n').length - 1
      pieces += 1
      if (pieces % 10 !== 1) continue
      collectGarbage()
      await turn()
      const { heapUsed } = process.memoryUsage()
      base ||= heapUsed
      peak = Math.max(peak, heapUsed)
    }
    const [{ count }] = (await at.query(sql<{ count: number }>`select count(*) from payments.ledger`)) as [
      { count: number },
    ]
    expect(lines).toBe(count + 1)
    const ms = performance.now() - start
    const mb = (value: number) => (value / 1_048_576).toFixed(1)
    console.info(
      `${count} entries, ${mb(bytes)} MB in ${ms.toFixed(0)} ms, heap at most ${mb(peak - base)} MB above the start`,
    )
    expect(peak - base).toBeLessThan(16 * 1_048_576)
    const text = (await get('/v1/exports/ledger')).text
    expect(sumOf(read(text))).toEqual(await sumsOf())
  }, 120_000)
})
