import { describe, expect, it } from 'vitest'
import type { CartItemId, OrderId, VariantId } from '#kernel/ids.ts'
import { followPayment, refundedOfLine } from './follow-payment.ts'
import {
  canBecome,
  cancel,
  deliver,
  expire,
  markPaid,
  type Order,
  type OrderLine,
  type OrderStatus,
  ship,
  TRANSITIONS,
  takeBack,
  turnDown,
  unshipped,
} from './order.ts'

const item = (name: string) => `item_${name}` as CartItemId

const aLine = (more: Partial<OrderLine> = {}): OrderLine => ({
  id: item('a'),
  variantId: 'var_a' as VariantId,
  productId: 'prod_a',
  sku: 'A',
  title: 'A mug',
  variantTitle: null,
  options: {},
  image: null,
  requiresShipping: true,
  metadata: {},
  unitPriceMinor: 1000,
  quantity: 2,
  rate: 210_000,
  taxIncluded: false,
  subtotalMinor: 2000,
  discountMinor: 0,
  totalMinor: 2000,
  taxMinor: 420,
  cancelled: 0,
  shipped: 0,
  returned: 0,
  refundedUnits: 0,
  refundedMinor: 0,
  ...more,
})

const anOrder = (more: Partial<Order> = {}): Order => ({
  id: 'ord_1' as OrderId,
  number: '1001',
  cartId: 'cart_1',
  userId: null,
  tokenVersion: 1,
  status: 'paid',
  paymentStatus: 'paid',
  fulfilment: 'none',
  returnStatus: 'none',
  paymentId: 'pay_1',
  locale: 'en',
  currency: 'EUR',
  subtotalMinor: 2000,
  discountMinor: 0,
  shippingMinor: 0,
  shippingTaxMinor: 0,
  taxMinor: 420,
  taxIncluded: false,
  totalMinor: 2420,
  refundedMinor: 0,
  shippingRefundedMinor: 0,
  lines: [aLine()],
  email: 'ann@example.com',
  shippingAddress: null,
  billingAddress: null,
  shippingMethod: null,
  note: null,
  metadata: {},
  holdUntil: null,
  placedAt: new Date(0),
  ...more,
})

const shippedLine = aLine({ shipped: 2 })
const digital = aLine({ requiresShipping: false })
const STATUSES = Object.keys(TRANSITIONS) as OrderStatus[]

/** What each decision makes of an order that is fit for it but for its status. */
const DECISIONS: Record<
  string,
  { to: OrderStatus; from: OrderStatus[]; decide: (status: OrderStatus) => { state: Order } }
> = {
  markPaid: { to: 'paid', from: ['pending', 'expired'], decide: (status) => markPaid(anOrder({ status })) },
  expire: { to: 'expired', from: ['pending'], decide: (status) => expire(anOrder({ status })) },
  cancel: { to: 'cancelled', from: ['pending', 'paid'], decide: (status) => cancel(anOrder({ status })) },
  turnDown: {
    to: 'cancelled',
    from: ['pending', 'paid', 'expired'],
    decide: (status) => turnDown(anOrder({ status })),
  },
  ship: { to: 'shipped', from: ['paid'], decide: (status) => ship(anOrder({ status }), unshipped(anOrder())) },
  deliver: {
    to: 'delivered',
    from: ['paid', 'shipped'],
    decide: (status) => deliver(anOrder({ status, lines: [status === 'paid' ? digital : shippedLine] })),
  },
  takeBack: {
    to: 'returned',
    from: ['shipped', 'delivered'],
    decide: (status) => takeBack(anOrder({ status, lines: [shippedLine] }), [{ itemId: item('a'), quantity: 2 }]),
  },
}

describe('transitions', () => {
  const cases = Object.entries(DECISIONS).flatMap(([name, rule]) =>
    STATUSES.map((status) => [name, status, rule] as const),
  )

  it.each(cases)('%s of a %s order', (_name, status, { to, from, decide }) => {
    if (from.includes(status)) expect(decide(status).state.status).toBe(to)
    else expect(() => decide(status)).toThrow(expect.objectContaining({ code: 'orders.invalid-transition' }))
  })

  it('are all reached by some decision', () => {
    for (const from of STATUSES)
      for (const to of TRANSITIONS[from])
        expect(
          Object.values(DECISIONS).some((rule) => rule.to === to && rule.from.includes(from)),
          `${from} → ${to}`,
        ).toBe(true)
  })

  it('end in cancelled and returned', () => {
    for (const status of STATUSES) expect(canBecome('cancelled', status) || canBecome('returned', status)).toBe(false)
  })
})

describe('units', () => {
  it('ship in parts, and the order with the last of them', () => {
    const first = ship(anOrder(), [{ itemId: item('a'), quantity: 1 }]).state
    expect(first).toMatchObject({ status: 'paid', fulfilment: 'partial', lines: [{ shipped: 1 }] })
    expect(ship(first, unshipped(first)).state).toMatchObject({ status: 'shipped', fulfilment: 'shipped' })
  })

  it.each([
    ['more than there are', [{ itemId: item('a'), quantity: 3 }], 'orders.too-many-units'],
    [
      'twice, together too many',
      [
        { itemId: item('a'), quantity: 1 },
        { itemId: item('a'), quantity: 2 },
      ],
      'orders.too-many-units',
    ],
    ['of another order', [{ itemId: item('z'), quantity: 1 }], 'orders.item-not-found'],
  ])('do not ship %s', (_name, lines, code) => {
    expect(() => ship(anOrder(), lines)).toThrow(expect.objectContaining({ code }))
    expect(() => takeBack(anOrder({ status: 'shipped', lines: [shippedLine] }), lines)).toThrow(
      expect.objectContaining({ code }),
    )
  })

  it('that shipped stop a cancellation, and cancelled ones count as cancelled', () => {
    const part = ship(anOrder(), [{ itemId: item('a'), quantity: 1 }]).state
    expect(() => cancel(part)).toThrow(expect.objectContaining({ code: 'orders.invalid-transition' }))
    expect(cancel(anOrder()).state.lines).toMatchObject([{ cancelled: 2 }])
  })

  it('come back in parts before the order is returned', () => {
    const order = anOrder({ status: 'delivered', lines: [shippedLine] })
    const part = takeBack(order, [{ itemId: item('a'), quantity: 1 }]).state
    expect(part).toMatchObject({ status: 'delivered', returnStatus: 'partial' })
    expect(takeBack(part, [{ itemId: item('a'), quantity: 1 }]).state).toMatchObject({
      status: 'returned',
      returnStatus: 'returned',
    })
  })

  it('that need shipping are not delivered before', () => {
    expect(() => deliver(anOrder())).toThrow(expect.objectContaining({ code: 'orders.invalid-transition' }))
  })
})

describe('money', () => {
  const payment = { status: 'captured', capturedMinor: 2420, refundedMinor: 0 } as const

  it('that was only authorised is let go when an order ends', () => {
    for (const end of [expire, cancel])
      expect(end(anOrder({ status: 'pending', paymentStatus: 'authorised' })).state.paymentStatus).toBe('unpaid')
  })

  it('that went back or is disputed before its late capture is heard stays so', () => {
    const late = (paymentStatus: Order['paymentStatus']) =>
      markPaid(anOrder({ status: 'expired', paymentStatus })).state.paymentStatus
    for (const before of ['unpaid', 'authorised', 'review'] as const) expect(late(before)).toBe('paid')
    for (const before of ['partiallyRefunded', 'refunded', 'disputed'] as const) expect(late(before)).toBe(before)
  })

  it('that went back shows, never changes the status, and in full is of every line', () => {
    const part = followPayment(anOrder(), { ...payment, refundedMinor: 1000 })
    const ofLines = (order: Order) => order.lines.map((line) => refundedOfLine(order, line))
    expect(part).toMatchObject({ status: 'paid', paymentStatus: 'partiallyRefunded' })
    expect(ofLines(part)).toEqual([0])
    const whole = followPayment(part, { ...payment, refundedMinor: 2420 })
    expect(whole).toMatchObject({ status: 'paid', paymentStatus: 'refunded' })
    expect(ofLines(whole)).toEqual([2420])
    expect(followPayment(whole, payment).paymentStatus).toBe('paid')
    expect(ofLines(followPayment(whole, payment))).toEqual([0])
  })

  it.each([
    ['open', 'unpaid'],
    ['cancelled', 'unpaid'],
    ['authorised', 'authorised'],
    ['review', 'review'],
    ['captured', 'paid'],
    ['disputed', 'disputed'],
    ['lost', 'disputed'],
  ] as const)('of a payment that is %s shows as %s', (status, shown) => {
    expect(followPayment(anOrder(), { ...payment, status }).paymentStatus).toBe(shown)
  })
})

it('tells events with ids and amounts only', () => {
  const [told] = cancel(anOrder()).events
  expect(told).toEqual({
    type: 'orders.cancelled.v1',
    subject: 'ord_1',
    data: { orderId: 'ord_1', number: '1001', totalMinor: 2420, currency: 'EUR', from: 'paid' },
  })
})
