import { expect, test } from 'vitest'
import type { Reply } from './buyer.ts'
import { type Evidence, neverTold, violationsIn } from './checker.ts'
import { type Asked, openHistory, type Seen } from './history.ts'
import type { Books, OrderRow, PaymentRow, RefundRow } from './witnesses.ts'

const lines = [{ variantId: 'var_mug', quantity: 2 }]
const placing: Asked = { what: 'order', cartId: 'cart_1', lines }
const paying: Asked = { what: 'payment', paymentId: 'pay_1' }
const refunding: Asked = { what: 'refund', paymentId: 'pay_1', amountMinor: 300 }
const capturing: Asked = { what: 'capture', paymentId: 'pay_1', amountMinor: 900 }
const line = (asked: Asked, told: Seen['told'], answer?: Seen['answer'], key = `key of ${asked.what}`): Seen => ({
  ...{ asked, key, told, status: 0, askedAt: 0, answeredAt: 0 },
  ...(answer ? { answer } : {}),
})
const placed = line(placing, 'acknowledged', { id: 'ord_1', status: 'pending', amountMinor: 2_500, lines })
const paid = line(paying, 'acknowledged', { id: 'att_1', status: 'succeeded' })
const refunded = line(refunding, 'acknowledged', { id: 'ref_1', status: 'succeeded', amountMinor: 300 })

const order: OrderRow = {
  ...{ id: 'ord_1', cartId: 'cart_1', status: 'paid', totalMinor: 2_500, lines },
  ...{ heldUnits: 2, paymentIds: ['pay_1'], placedEvents: 1 },
}
const payment: PaymentRow = {
  ...{
    id: 'pay_1',
    status: 'captured',
    capturedMinor: 2_500,
    bookedMinor: 2_500,
    returnedMinor: 300,
    wasAuthorised: false,
  },
}
const refund: RefundRow = { id: 'ref_1', paymentId: 'pay_1', amountMinor: 300, status: 'succeeded', byStaff: true }
const books: Books = { orders: [order], payments: [payment], refunds: [refund], givenUp: [] }
const object = { paymentId: 'pay_1', captured: 2_500, refunded: 300 }
const mail = { consumer: 'mail', event: '<1@shop>' }

/** A purchase as all witnesses tell it; a lie replaces some of what they say. */
const honest: Evidence = {
  history: [placed, paid, refunded],
  books,
  provider: [object],
  effects: [mail],
  due: [mail],
}
const withOrder = (lie: Partial<OrderRow>): Partial<Evidence> => ({
  books: { ...books, orders: [{ ...order, ...lie }] },
})

test('an honest story has no violation', () => expect(violationsIn(honest)).toEqual([]))

test('what is unknown may have happened, or not', () => {
  const history = [placing, paying, refunding].map((asked) => line(asked, 'unknown'))
  expect(violationsIn({ ...honest, history })).toEqual([])
  const nothing = { orders: [], payments: [payment], refunds: [], givenUp: [] }
  expect(violationsIn({ history, books: nothing, provider: [object] })).toEqual([])
  expect(neverTold(history)).toHaveLength(3)
  expect(neverTold([...history, ...honest.history])).toEqual([])
})

test.each<[said: string, lie: Partial<Evidence>]>([
  ['ord_1 was acknowledged and is lost', { books: { ...books, orders: [] } }],
  ['kept 3 × var_mug', withOrder({ lines: [{ variantId: 'var_mug', quantity: 3 }], heldUnits: 3 })],
  ['told a total of 2500, kept 2400', withOrder({ totalMinor: 2_400 })],
  [
    'answered with ord_1 and ord_2',
    { history: [...honest.history, { ...placed, answer: { ...placed.answer!, id: 'ord_2' } }] },
  ],
  ['ord_1 is there, but was refused', { history: [line(placing, 'refused')] }],
  ['ord_1 is there, but was refused', { history: [line(placing, 'unknown'), line(placing, 'refused')] }],
  ['cart_1 became ord_1 and ord_2', { books: { ...books, orders: [order, { ...order, id: 'ord_2' }] } }],
  [
    'ord_1 is of 1 × var_hat, which nobody asked for',
    {
      history: [line(placing, 'unknown')],
      ...withOrder({ lines: [{ variantId: 'var_hat', quantity: 1 }], heldUnits: 1 }),
    },
  ],
  ['has no lines', withOrder({ lines: [] })],
  ['of 2 units and held 0', withOrder({ heldUnits: 0 })],
  ['has 0 payments', withOrder({ paymentIds: [] })],
  ['was told of 0 times', withOrder({ placedEvents: 0 })],
  ['pay_1 was tried and is lost', { books: { ...books, payments: [] } }],
  ['the provider took nothing, we booked 2500', { provider: [] }],
  ['the provider took 2500 and 2500, we booked 2500', { provider: [object, object] }],
  [
    'pay_1 was declined, and the provider took money',
    { history: [placed, line(paying, 'acknowledged', { id: 'att_1', status: 'declined' })] },
  ],
  [
    'a capture of 900 was acknowledged, and 2500 captured',
    { history: [placed, paid, line(capturing, 'acknowledged', { id: 'cap_1', status: 'succeeded' })] },
  ],
  ['the provider has +2500 −0, our books +2500 −300', { provider: [{ ...object, refunded: 0 }] }],
  ['ref_1 was acknowledged and is lost', { books: { ...books, refunds: [] } }],
  ['asked 300, kept 200', { books: { ...books, refunds: [{ ...refund, amountMinor: 200 }] } }],
  [
    '2 refunds of 300 of payment pay_1, where 1',
    { books: { ...books, refunds: [refund, { ...refund, id: 'ref_2' }] } },
  ],
  ['1 refunds of 300 of payment pay_1, where 0', { history: [placed, paid, line(refunding, 'refused')] }],
  ['mail of <1@shop> happened 2 times', { effects: [mail, mail] }],
  ['mail of <1@shop> did not happen', { effects: [] }],
  ['job was given up', { books: { ...books, givenUp: ['job was given up'] } }],
])('a lie is found: %s', (said, lie) => {
  expect(violationsIn({ ...honest, ...lie }).join('\n')).toContain(said)
})

test('a history tells what was heard, and repeats what is unknown with the same key', async () => {
  const history = openHistory()
  const replies: Reply[] = [
    { status: 0, body: undefined, replayed: false },
    { status: 503, body: { code: 'platform.unavailable' }, replayed: false },
    { status: 409, body: { code: 'platform.in-progress' }, replayed: false },
    {
      status: 201,
      body: { id: 'ord_1', status: 'pending', total: { amountMinor: 2_500 }, items: lines },
      replayed: true,
    },
  ]
  const { status } = await history.insist(placing, 'key', async () => replies.shift() as Reply)
  expect(status).toBe(201)
  expect(history.read().map(({ told, key }) => `${told} ${key}`)).toEqual(
    ['unknown', 'refused', 'unknown', 'acknowledged'].map((told) => `${told} key`),
  )
  expect(history.read().at(-1)?.answer).toEqual({ id: 'ord_1', status: 'pending', amountMinor: 2_500, lines })
  history.remove()
})
