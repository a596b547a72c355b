import { type Problems, refuserOf } from '#kernel/refusal.ts'

/** Everything that payments refuse. */
export const paymentsProblems = {
  'payments.not-found': {
    kind: 'not-found',
    title: 'No such payment',
    advice: "There is no such payment, or it is not yours: send its order's token as X-Order-Token, or sign in.",
  },
  'payments.amount-too-small': {
    kind: 'invalid',
    title: 'The amount is too small to be paid',
    advice: 'The payment provider takes no amount below its minimum: order more.',
  },
  'payments.unknown-method': {
    kind: 'invalid',
    title: 'No such payment method',
    advice: 'Use one of the payment methods that GET /v1/store lists.',
  },
  'payments.attempt-in-progress': {
    kind: 'conflict',
    title: 'Another attempt is under way',
    advice: 'Read the payment until that attempt has ended, then try again.',
  },
  'payments.too-many-declines': {
    kind: 'limited',
    title: 'Too many declined attempts',
    advice:
      'Wait for the seconds in Retry-After. The cards were refused by their banks: trying more at once will not help.',
  },
  'payments.already-captured': {
    kind: 'conflict',
    title: 'The payment has been made',
    advice: 'Nothing is owed any more: read the order.',
  },
  'payments.already-authorised': {
    kind: 'conflict',
    title: 'The payment is authorised',
    advice: 'The money is reserved and the shop takes it: nothing is to be paid again. Read the order.',
  },
  'payments.cancelled': {
    kind: 'conflict',
    title: 'The payment is cancelled',
    advice: 'Its order was cancelled; order again.',
  },
  'payments.in-review': {
    kind: 'conflict',
    title: 'The payment is being looked at',
    advice: 'What the provider reports does not fit this payment. The shop will get in touch; do not pay again.',
  },
  // The words of the orders context: to the buyer it is the order that has lapsed.
  'orders.hold-expired': {
    kind: 'conflict',
    title: 'The time to pay is over',
    advice: 'The goods are no longer held: the cart is open again, order it anew.',
  },
  'payments.not-captured': {
    kind: 'conflict',
    title: 'There is nothing to refund',
    advice: 'Only a captured payment can be refunded.',
  },
  'payments.disputed': {
    kind: 'conflict',
    title: 'The payment is disputed',
    advice:
      "The buyer's bank has the money or decides about it: wait for the end of the dispute; a lost one is a refund.",
  },
  'payments.refund-exceeds-captured': {
    kind: 'conflict',
    title: 'More than is left to refund',
    advice: 'Refund at most `left`: what was captured, less what was refunded or is being refunded.',
  },
  'payments.currency-mismatch': {
    kind: 'invalid',
    title: 'Another currency than the payment',
    advice: 'Refund in the currency of the payment.',
  },
  'payments.not-authorised': {
    kind: 'conflict',
    title: 'There is nothing to capture',
    advice: 'Only an authorised payment is captured. An authorisation that has lapsed is over: the buyer pays again.',
  },
  'payments.capture-in-progress': {
    kind: 'conflict',
    title: 'The money is being captured',
    advice: 'Read the payment until it is captured. A payment is captured once: what is not taken then is let go.',
  },
  'payments.capture-exceeds-authorised': {
    kind: 'invalid',
    title: 'More than was authorised',
    advice: 'Capture at most `authorised`; leave the amount out to capture all of it.',
  },
  'payments.not-recordable': {
    kind: 'conflict',
    title: 'Money by hand cannot be recorded here',
    advice:
      'Switch the manual provider on; a payment that is authorised or cancelled at another provider ends there first.',
  },
  'payments.amount-mismatch': {
    kind: 'invalid',
    title: 'Another amount than is owed',
    advice: 'Record exactly `owed`: ask the buyer for the rest, or send the money back and cancel the order.',
  },
  'payments.not-received-yet': {
    kind: 'invalid',
    title: 'The money is still to come',
    advice: 'Record money when it is there: `receivedAt` is no later than now.',
  },
  'payments.not-in-review': {
    kind: 'conflict',
    title: 'Nothing waits for a decision',
    advice: 'Read the payment: it is not held for review, or somebody has decided.',
  },
  'payments.cannot-accept': {
    kind: 'conflict',
    title: 'That money cannot be taken for this payment',
    advice: 'It is in another currency, more than is owed, or a second payment: send it back with `refund`.',
  },
  'payments.nothing-to-send-back': {
    kind: 'conflict',
    title: 'The provider took nothing',
    advice: 'There is no money to send back: `dismiss` it, and cancel it at the provider if it is still open there.',
  },
  'payments.unknown-provider': {
    kind: 'not-found',
    title: 'No such payment provider',
    advice: 'Send webhooks of a provider that is switched on.',
  },
  'payments.invalid-signature': {
    kind: 'invalid',
    title: 'The webhook is not genuine',
    advice: 'Sign the exact bytes with the webhook secret, not more than five minutes ago. Status 400.',
  },
  'payments.webhook-not-found': {
    kind: 'not-found',
    title: 'No such webhook',
    advice: 'GET /v1/payments/webhooks lists those that came; one that was worked on is forgotten after 90 days.',
  },
  'payments.webhook-about-nothing': {
    kind: 'conflict',
    title: 'There is nothing to work on',
    advice: 'This webhook is about nothing that a payment depends on: it was stored, and that is all. Leave it.',
  },
} as const satisfies Problems

/** Says no with a code of the table above. */
export const refuse = refuserOf(paymentsProblems)
