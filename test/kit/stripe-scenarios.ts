import type { Bought, StripeShop } from './stripe-shop.ts'

/** One thing that happens to an order: at Stripe, on the buyer's device, or by the shop's own API. */
export type Step = (at: StripeShop, order: Bought) => Promise<unknown>

export type Scenario = {
  readonly name: string
  /** Only authorised at first, until staff capture it. */
  readonly manual?: true
  /** Everything happens after the order's hold is over. */
  readonly late?: true
  readonly steps: readonly Step[]
  /** The events that are told in every order, five at most: all of them, unless said. The rest comes last. */
  readonly tells?: readonly string[]
}

/** The intent of an order's payment: the newest one. */
function intentOf({ stripe }: StripeShop, { paymentId }: Bought): string {
  const mine = stripe
    .events()
    .findLast(({ data: { object } }) => object.object === 'payment_intent' && object.metadata.paymentId === paymentId)
  return mine?.data.object.id ?? ''
}
const expecting = async (status: number, answer: Promise<{ status: number; text: string }>): Promise<void> => {
  const { status: got, text } = await answer
  if (got !== status) throw new Error(`${got} instead of ${status}: ${text}`)
}

const attempt =
  (card: string): Step =>
  (at, order) =>
    expecting(201, at.pay(order, card))
const unheard =
  (card: string): Step =>
  (at, order) =>
    at.payUnheard(order, card)
const confirmUnheard =
  (card: string): Step =>
  (at, order) =>
    at.confirmUnheard(intentOf(at, order), card)
const bank =
  (verdict: 'approve' | 'refuse'): Step =>
  async (at, order) =>
    at.stripe.authenticate(intentOf(at, order), verdict)
const capture =
  (amountMinor?: number): Step =>
  (at, order) =>
    expecting(201, at.capture(order, amountMinor))
const cancel: Step = (at, order) => expecting(200, at.cancel(order))
const refund =
  (amountMinor: number, status = 201): Step =>
  (at, order) =>
    expecting(status, at.refund(order, amountMinor))
const refundThere =
  (amount: number): Step =>
  (at, order) =>
    at.sdk.refunds.create({ payment_intent: intentOf(at, order), amount })
const refundFails: Step = async (at, order) => {
  const { data } = await at.sdk.refunds.list({ payment_intent: intentOf(at, order) })
  return at.stripe.failRefund(data[0]?.id ?? '')
}
const dispute: Step = async (at, order) => at.stripe.dispute(intentOf(at, order))
const disputeEnds =
  (verdict: 'won' | 'lost'): Step =>
  async (at, order) => {
    const { data } = await at.sdk.disputes.list({ payment_intent: intentOf(at, order) })
    return at.stripe.closeDispute(data[0]?.id ?? '', verdict)
  }

const [VISA, DECLINED, SECURE] = ['pm_card_visa', 'pm_card_chargeDeclined', 'pm_card_authenticationRequired']

/** Everything that can become of a payment by Stripe. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'succeeds, and the answer is lost', steps: [unheard(VISA)] },
  { name: 'declined, then succeeds on the same intent', steps: [attempt(DECLINED), confirmUnheard(VISA)] },
  { name: 'declined, then succeeds, all unheard', steps: [unheard(DECLINED), confirmUnheard(VISA)] },
  { name: '3-D Secure, approved', steps: [attempt(SECURE), bank('approve')] },
  { name: '3-D Secure, refused, then another card', steps: [attempt(SECURE), bank('refuse'), confirmUnheard(VISA)] },
  { name: 'captured as a whole', manual: true, steps: [attempt(VISA), capture()] },
  { name: 'captured in part', manual: true, steps: [attempt(VISA), capture(700)] },
  { name: 'authorised, then cancelled', manual: true, steps: [attempt(VISA), cancel] },
  { name: 'declined, then cancelled', steps: [attempt(DECLINED), cancel] },
  {
    name: 'refunded in part twice, and a third one too much',
    steps: [attempt(VISA), refund(300), refund(400), refund(1_000, 409)],
    tells: ['payment_intent.succeeded', 'charge.refunded', 'refund.created'],
  },
  { name: 'refunded at Stripe', steps: [attempt(VISA), refundThere(500)] },
  { name: 'succeeds unheard, refunded at Stripe', steps: [unheard(VISA), refundThere(500)] },
  {
    name: 'refunded, and the refund fails later',
    steps: [attempt(VISA), refund(500), refundFails],
    tells: ['charge.refunded', 'refund.created', 'refund.failed', 'refund.updated', 'charge.refund.updated'],
  },
  {
    name: 'disputed and won',
    steps: [unheard(VISA), dispute, disputeEnds('won')],
    tells: [
      'payment_intent.succeeded',
      'charge.dispute.created',
      'charge.dispute.funds_withdrawn',
      'charge.dispute.closed',
      'charge.dispute.funds_reinstated',
    ],
  },
  {
    name: 'disputed and lost',
    steps: [unheard(VISA), dispute, disputeEnds('lost')],
    tells: [
      'charge.succeeded',
      'payment_intent.succeeded',
      'charge.dispute.created',
      'charge.dispute.funds_withdrawn',
      'charge.dispute.closed',
    ],
  },
  {
    name: 'refunded in part, disputed and won',
    steps: [attempt(VISA), refundThere(500), dispute, disputeEnds('won')],
    tells: [
      'refund.created',
      'charge.dispute.created',
      'charge.dispute.funds_withdrawn',
      'charge.dispute.closed',
      'charge.dispute.funds_reinstated',
    ],
  },
  { name: 'paid after its hold was over', late: true, steps: [unheard(DECLINED), confirmUnheard(VISA)] },
  {
    name: 'paid after its hold was over, and refunded at Stripe',
    late: true,
    steps: [unheard(VISA), refundThere(500)],
  },
  {
    name: 'paid after its hold was over, and disputed',
    late: true,
    steps: [unheard(VISA), dispute],
    tells: ['charge.succeeded', 'payment_intent.succeeded', 'charge.dispute.created', 'charge.dispute.funds_withdrawn'],
  },
  {
    name: 'paid twice',
    steps: [attempt(VISA), unheard(VISA)],
    tells: ['charge.succeeded', 'payment_intent.succeeded'],
  },
]
