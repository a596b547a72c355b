import { money } from '#kernel/money.ts'
import type { PricedCart } from '../domain/cart.ts'
import type { CartView } from './schemas.ts'

/** The whole cart, priced, as every answer shows it. */
export function cartView(priced: PricedCart, token: string | null): CartView {
  const { cart, totals, lines } = priced
  const amount = (amountMinor: number) => money(amountMinor, cart.currency)
  return {
    id: cart.id,
    token: cart.userId === null ? token : null,
    status: cart.status,
    orderId: cart.orderId,
    currency: cart.currency,
    items: lines.map(({ item, goods, amounts }) => ({
      ...item,
      productId: goods?.productId ?? null,
      sku: goods?.sku ?? null,
      title: goods?.title ?? '',
      variantTitle: goods?.variantTitle ?? null,
      options: { ...goods?.options },
      image: goods?.image ?? null,
      unitPrice: goods?.unitPriceMinor == null ? null : amount(goods.unitPriceMinor),
      total: amount(amounts.totalMinor),
      tax: amount(amounts.taxMinor),
      available: goods ? goods.available : 0,
    })),
    subtotal: amount(totals.subtotalMinor),
    discount: amount(totals.discountMinor),
    shipping: amount(totals.shippingMinor),
    tax: amount(totals.taxMinor),
    taxIncluded: priced.taxIncluded,
    total: amount(totals.totalMinor),
    email: cart.email,
    shippingAddress: cart.shippingAddress,
    billingAddress: cart.billingAddress,
    note: cart.note,
    metadata: cart.metadata,
    shippingMethod: cart.shippingMethod,
    shippingMethods: priced.shippingOffers.map(({ id, title, priceMinor }) => ({
      id,
      title,
      price: amount(priceMinor),
    })),
    problems: [...new Set(priced.problems.map((problem) => problem.code))],
  }
}
