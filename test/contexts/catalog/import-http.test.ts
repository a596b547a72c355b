import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Sent, type TestShop, testShop } from '../../kit/shop.ts'
import { csv } from './importing.ts'

let shop: TestShop
let staff: { authorization: string }
beforeAll(async () => {
  shop = await testShop({ IMPORT_LIMIT_BYTES: '200000' })
  staff = await shop.asOwner()
  await shop.app.startWork()
})
afterAll(() => shop.close())

const upload = (text: string, query = '', headers: Record<string, string> = {}) =>
  shop.send('POST', `/v1/imports/products${query}`, text as unknown as object, {
    ...staff,
    'content-type': 'text/csv',
    ...headers,
  })
const mug = {
  Handle: 'mug',
  Title: 'Mug',
  'Variant Price': '10.00',
  'Variant Inventory Tracker': 'shopify',
  'Variant Inventory Qty': '4',
}

/** Asks until the job has come to its end. */
async function ended(location: string): Promise<Sent> {
  for (let tries = 0; tries < 200; tries += 1) {
    const answer = await shop.send('GET', location, undefined, staff)
    if (answer.body.status === 'finished' || answer.body.status === 'refused') return answer
    await pause(50)
  }
  throw new Error('The import did not come to its end.')
}

test('an upload is imported in the background, and its report can be read', async () => {
  const answer = await upload(csv(mug), '?fileName=mugs.csv')
  expect(answer.status).toBe(202)
  expect(answer.body).toMatchObject({ status: 'waiting', fileName: 'mugs.csv', report: null, rowsDone: 0 })
  const { body } = await ended(String(answer.headers.location))
  expect(body).toMatchObject({
    status: 'finished',
    rows: 2,
    rowsDone: 2,
    report: { products: { created: { count: 1, first: [2] } } },
  })
  expect((await shop.send('GET', '/v1/products/mug')).body).toMatchObject({
    title: 'Mug',
    variants: [{ available: 4 }],
  })
})

test('a damaged upload is refused with its place', async () => {
  const { headers } = await upload('Handle,Title\na,A\nb,"B')
  const { body } = await ended(String(headers.location))
  expect(body).toMatchObject({
    status: 'refused',
    report: null,
    problem: { row: 3, detail: expect.stringContaining('cut off') },
  })
})

test('the same key answers the same, and another body under it is refused', async () => {
  const key = { 'idempotency-key': 'import-of-tuesday' }
  const first = await upload(csv({ ...mug, Handle: 'cup' }), '', key)
  const again = await upload(csv({ ...mug, Handle: 'cup' }), '', key)
  expect(again.text).toBe(first.text)
  expect(again.headers['idempotent-replayed']).toBe('true')
  expect(await upload(csv({ ...mug, Handle: 'jug' }), '', key)).toMatchObject({
    status: 422,
    body: { code: 'platform.idempotency-key-reused' },
  })
})

test.each([
  ['another content type', () => upload('{}', '', { 'content-type': 'application/json' }), 415],
  ['too much', () => upload(`Handle,Title\n${'a,b\n'.repeat(60_000)}`), 413],
  ['an unknown currency', () => upload(csv(mug), '?currency=XXQ'), 422],
  ['an unknown parameter', () => upload(csv(mug), '?dry=1'), 400],
  ['nobody', () => upload(csv(mug), '', { authorization: '' }), 401],
  ['no such import', () => shop.send('GET', '/v1/imports/imp_01jd2zq8k5e6v9w3x7y2m4n6p8', undefined, staff), 404],
  ['an export by a guest', () => shop.send('GET', '/v1/exports/products'), 401],
])('%s is refused', async (_what, ask, status) => {
  expect((await ask()).status).toBe(status)
})

test('the export is a CSV file', async () => {
  const answer = await shop.send('GET', '/v1/exports/products?currency=USD', undefined, staff)
  expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8')
  expect(answer.text.split('\n')[0]).toMatch(/^Title,URL handle,Description,/)
  expect(answer.text).toContain('Mug,mug,')
})
