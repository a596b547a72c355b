import type { CommitStock, HoldStock, Sellables } from '#contexts/catalog/index.ts'
import type { OpenPayment } from '#contexts/payments/index.ts'
import { minutesAfter } from '#kernel/clock.ts'
import type { CartId, OrderId } from '#kernel/ids.ts'
import { type Money, money } from '#kernel/money.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { GuestTokens } from '#platform/security/guest-tokens.ts'
import type { Cart, PricedCart } from '../domain/cart.ts'
import { type Order, place, refuseUnready } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'
import type { StoreSettings } from '../domain/store-settings.ts'
import type { CartProof } from './change-cart.ts'
import { priced } from './goods.ts'
import { cartProof, ownsCart } from './proofs.ts'
import type { Checkout } from './switch-checkout.ts'

export type PlaceOrder = { readonly cartId: CartId; readonly expectedTotal?: Money }

/** An order with what is to be paid for it, if anything. */
export type PlacedOrder = { readonly order: Order; readonly payment: Awaited<ReturnType<OpenPayment>> | null }

export type PlaceOrderNeeds = {
  readonly settings: StoreSettings
  readonly holdMinutes: number
  readonly numberOf: (serial: number) => string
  readonly guestTokens: GuestTokens
  readonly sellables: Sellables
  readonly holdStock: HoldStock
  readonly commitStock: CommitStock
  readonly openPayment: OpenPayment
  readonly newOrderId: () => OrderId
  readonly freezeCart: (
    work: Work,
    id: CartId,
    proof: CartProof,
    orderId: OrderId,
  ) => Promise<{ cart: Cart; serial: number } | undefined>
  readonly findCart: (db: Reader, id: CartId) => Promise<Cart | undefined>
  readonly readCheckout: (db: Reader) => Promise<Checkout>
  readonly insertOrder: (work: Work, order: Order) => Promise<void>
  /** The order as its buyer sees it: what a refusal encloses. */
  readonly showOrder: (db: Reader, id: OrderId) => Promise<object | undefined>
  readonly failpoint: (name: string) => Promise<void>
}

/**
 * Places the order of a cart: freezes it, opens the payment, holds the stock. Refuses carts.not-found,
 * carts.already-merged, orders.already-placed (with the order), orders.checkout-paused, orders.empty, orders.not-ready,
 * orders.price-changed, orders.amount-too-large, payments.amount-too-small, catalog.out-of-stock, catalog.not-for-sale, catalog.price-moved; then nothing happened.
 */
export const placeOrder =
  (needs: PlaceOrderNeeds) =>
  async (work: Work, { cartId, expectedTotal }: PlaceOrder, freshness: 'cached' | 'now'): Promise<PlacedOrder> => {
    const id = needs.newOrderId()
    const frozen = await needs.freezeCart(work, cartId, cartProof(needs.guestTokens, work.actor, cartId), id)
    if (!frozen) throw await whyNotOpen(needs, work, cartId)
    const { cart } = frozen
    const number = needs.numberOf(frozen.serial)
    const pricedCart = await priced(needs, work, cart, freshness)
    refuseUnready(pricedCart)
    refuseOtherTotal(pricedCart, expectedTotal)
    const buyerId = work.actor.userId ?? cart.userId
    const holdUntil = minutesAfter(work.now, needs.holdMinutes)
    const amount = money(pricedCart.totals.totalMinor, cart.currency)
    const bill = {
      orderId: id,
      orderNumber: number,
      amount,
      payableUntil: holdUntil,
      buyerUserId: buyerId,
      tokenVersion: 1,
    }
    const payment = amount.amountMinor === 0 ? null : await needs.openPayment(work, bill)
    const locale = work.actor.locale ?? cart.locale
    const draft = { id, number, buyerId, paymentId: payment?.id ?? null, locale, holdUntil }
    const { state: order, events } = place(pricedCart, draft, work.now)
    await needs.insertOrder(work, order)
    await needs.failpoint('order.inserted')
    await needs.holdStock(work, { reference: id, currency: order.currency, lines: stockOf(order) })
    if (!payment) await needs.commitStock(work, [id])
    work.emit(...events)
    return { order, payment }
  }

/** Stock is held at the prices that the order was made with. */
const stockOf = (order: Order) =>
  order.lines.map(({ variantId, quantity, unitPriceMinor }, index) => {
    return { variantId, quantity, unitPriceMinor, pointer: `/items/${index}` }
  })

/** When a paused checkout is worth another try. */
const PAUSED_RETRY_SECONDS = 30

async function whyNotOpen(needs: PlaceOrderNeeds, work: Work, cartId: CartId) {
  const cart = await needs.findCart(work.tx, cartId)
  if (!cart || !ownsCart(needs.guestTokens, work.actor, cart)) return refuse('carts.not-found')
  if (cart.orderId) {
    const order = await needs.showOrder(work.tx, cart.orderId)
    return refuse('orders.already-placed', undefined, { order })
  }
  const { paused } = await needs.readCheckout(work.tx)
  if (paused) return refuse('orders.checkout-paused', undefined, { retryAfterSeconds: PAUSED_RETRY_SECONDS })
  return refuse(cart.status === 'merged' ? 'carts.already-merged' : 'carts.already-ordered')
}

function refuseOtherTotal({ totals, cart, lines }: PricedCart, expected: Money | undefined): void {
  const actual = money(totals.totalMinor, cart.currency)
  if (!expected || (expected.amountMinor === actual.amountMinor && expected.currency === actual.currency)) return
  throw refuse('orders.price-changed', undefined, {
    expected,
    actual,
    lines: lines.map(({ item, goods, amounts }) => ({
      itemId: item.id,
      variantId: item.variantId,
      quantity: item.quantity,
      unitPrice: money(goods?.unitPriceMinor ?? 0, cart.currency),
      total: money(amounts.totalMinor, cart.currency),
    })),
  })
}
