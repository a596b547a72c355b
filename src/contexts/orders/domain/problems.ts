import { type Problems, refuserOf } from '#kernel/refusal.ts'

/** Everything that carts and orders refuse. */
export const ordersProblems = {
  'carts.not-found': {
    kind: 'not-found',
    title: 'No such cart',
    advice: 'There is no such cart, or it is not yours: send its token as X-Cart-Token, or sign in.',
  },
  'carts.item-not-found': { kind: 'not-found', title: 'No such item', advice: 'The cart has no item with this id.' },
  'carts.already-ordered': {
    kind: 'conflict',
    title: 'The cart is already ordered',
    advice: 'An ordered cart cannot change. It opens again when its order expires or is cancelled unpaid.',
  },
  'carts.already-merged': {
    kind: 'conflict',
    title: 'The cart is merged into another',
    advice: 'Its items are in the cart that it was merged into: go on with that one.',
  },
  'carts.unknown-variant': {
    kind: 'invalid',
    title: 'No such variant',
    advice: 'Use the id or SKU of a variant that the catalogue lists.',
  },
  'carts.two-addresses': {
    kind: 'invalid',
    title: 'An address is given twice',
    advice: 'Write an address out or name it by its id, not both.',
  },
  'carts.too-many-items': {
    kind: 'invalid',
    title: 'Too many items',
    advice: 'A cart holds at most 100 different variants and 9999 of each.',
  },
  'carts.unknown-currency': {
    kind: 'invalid',
    title: 'Not a currency of this store',
    advice: 'Use one of the currencies that GET /v1/store lists.',
  },
  'carts.unknown-shipping-method': {
    kind: 'invalid',
    title: 'No such shipping method',
    advice: "Use one of the cart's shippingMethods.",
  },
  'carts.country-not-served': {
    kind: 'invalid',
    title: 'Nothing is shipped to this country',
    advice: 'Use one of the shippingCountries that GET /v1/store lists.',
  },
  'carts.cannot-merge': {
    kind: 'conflict',
    title: 'These carts cannot be merged',
    advice: 'Merge two different open carts in one currency.',
  },
  'orders.not-found': {
    kind: 'not-found',
    title: 'No such order',
    advice: 'There is no such order, or it is not yours: send its token as X-Order-Token, or sign in.',
  },
  'orders.item-not-found': {
    kind: 'invalid',
    title: 'No such item in this order',
    advice: 'Name items by the ids that the order lists.',
  },
  'orders.sign-in': {
    kind: 'unauthenticated',
    title: 'Sign in to list orders',
    advice: 'A guest reads single orders with their tokens; a list needs an access token.',
  },
  'orders.checkout-paused': {
    kind: 'unavailable',
    title: 'No orders are taken at the moment',
    advice: 'The shop has paused its checkout. Keep the cart and order again after Retry-After.',
  },
  'orders.empty': { kind: 'invalid', title: 'The cart is empty', advice: 'Put something into the cart first.' },
  'orders.not-ready': {
    kind: 'invalid',
    title: 'The cart cannot be ordered yet',
    advice: 'Solve what the cart lists as problems.',
  },
  'orders.price-changed': {
    kind: 'conflict',
    title: 'The total is not what was expected',
    advice: 'Show the buyer the new total and order again.',
  },
  'orders.already-placed': {
    kind: 'conflict',
    title: 'This cart is already an order',
    advice: 'Pay the order that is enclosed.',
  },
  'orders.amount-too-large': {
    kind: 'invalid',
    title: 'The amount is too large',
    advice: 'Order less at once.',
  },
  'orders.invalid-transition': {
    kind: 'conflict',
    title: 'The order is not in a state for this',
    advice: 'Read the order: its status says what can come next.',
  },
  'orders.cannot-cancel': {
    kind: 'forbidden',
    title: 'You may not cancel this order',
    advice: 'It takes the buyer, or staff with orders:cancel.',
  },
  'orders.payment-in-progress': {
    kind: 'conflict',
    title: 'A payment is being made',
    advice: 'Try again when the payment has ended.',
  },
  'orders.under-way': {
    kind: 'conflict',
    title: 'An order is under way',
    advice: 'What is to be shipped needs its address: wait until the `orders` named are shipped, or cancel them.',
  },
  'orders.refund-exceeds-shipping': {
    kind: 'conflict',
    title: 'More than is left of the shipping',
    advice: 'Refund at most `left`: what was paid for shipping, its tax included, less what went back of it.',
  },
  'orders.nothing-to-refund': {
    kind: 'conflict',
    title: 'What is named is worth nothing',
    advice: 'Name lines or shipping that something was paid for and that have not been refunded.',
  },
  'orders.too-many-units': {
    kind: 'conflict',
    title: 'More units than there are',
    advice: 'Name at most the units that are left on the item.',
  },
} as const satisfies Problems

/** Says no with a code of the table above. */
export const refuse = refuserOf(ordersProblems)
