import type { Address } from '#kernel/address.ts'
import type { CartId, CartItemId, OrderId, ProductId, UserId, VariantId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import { type ShippingOffer, shippingOffers } from './shipping.ts'
import type { StoreSettings } from './store-settings.ts'
import { rateOf, taxIn } from './tax.ts'
import { type LineAmounts, type Totals, totalsOf } from './totals.ts'

export const MAX_CART_ITEMS = 100
export const MAX_UNITS = 9999
/** Of a buyer who does not say what they read. */
export const FIRST_LOCALE = 'en'

/** How often one variant is wanted. Ids sort by the time the item was first added. */
export type CartItem = {
  readonly id: CartItemId
  readonly variantId: VariantId
  readonly quantity: number
  readonly metadata: Readonly<Record<string, string>>
}

/** What somebody means to buy. Frozen while it is `ordered`; `merged` into another one it never opens again. */
export type Cart = {
  readonly id: CartId
  readonly status: 'open' | 'ordered' | 'merged'
  readonly userId: UserId | null
  readonly orderId: OrderId | null
  /** What its buyer reads, such as `de-AT`. */
  readonly locale: string
  readonly currency: Currency
  readonly items: readonly CartItem[]
  readonly email: string | null
  readonly shippingAddress: Address | null
  readonly billingAddress: Address | null
  readonly shippingMethod: string | null
  readonly note: string | null
  readonly metadata: Readonly<Record<string, string>>
}

/** What is known of a variant, priced in the cart's currency. */
export type Goods = {
  readonly variantId: VariantId
  readonly productId: ProductId
  readonly sku: string | null
  readonly title: string
  readonly variantTitle: string | null
  readonly options: Readonly<Record<string, string>>
  readonly image: string | null
  readonly unitPriceMinor: number | null
  readonly taxable: boolean
  readonly requiresShipping: boolean
  /** Null: without limit. */
  readonly available: number | null
  readonly onSale: boolean
}

/** Something that still blocks ordering. */
export type CartProblem = {
  readonly code:
    | 'empty'
    | 'missing-email'
    | 'missing-address'
    | 'missing-shipping-method'
    | 'out-of-stock'
    | 'no-price'
    | 'not-for-sale'
  readonly pointer: string
  readonly detail: string
}

/** A line of a priced cart. Goods that left the catalogue, or have no price here, come to nothing and are a problem. */
export type CartLine = { readonly item: CartItem; readonly goods: Goods | null; readonly amounts: LineAmounts }

export type PricedCart = {
  readonly cart: Cart
  readonly lines: readonly CartLine[]
  readonly totals: Totals
  readonly taxIncluded: boolean
  readonly shippingOffers: readonly ShippingOffer[]
  /** The chosen method, when it applies and something needs shipping. */
  readonly shippingOffer: ShippingOffer | null
  readonly problems: readonly CartProblem[]
}

/** Prices a cart as things are now, and says what still blocks ordering it. Refuses orders.amount-too-large. */
export function priceCart(cart: Cart, goodsById: ReadonlyMap<VariantId, Goods>, settings: StoreSettings): PricedCart {
  const countryCode = cart.shippingAddress?.countryCode ?? null
  const tax = taxIn(settings, countryCode)
  const found = cart.items.map((item) => ({ item, goods: goodsById.get(item.variantId) ?? null }))
  const needsShipping = found.some(({ goods }) => goods?.requiresShipping)
  const offers = needsShipping ? shippingOffers(settings, { currency: cart.currency, countryCode }) : []
  const offer = offers.find((each) => each.id === cart.shippingMethod) ?? null
  const totals = totalsOf(
    found.map(({ item, goods }) => ({
      unitPriceMinor: goods?.unitPriceMinor ?? 0,
      quantity: item.quantity,
      rate: goods ? rateOf(tax, goods) : 0,
      taxIncluded: tax.included,
    })),
    { priceMinor: offer?.priceMinor ?? 0, taxIncluded: tax.included, rate: offer?.taxRate ?? null },
  )
  const lines = found.map((line, index) => ({ ...line, amounts: totals.lines[index] as LineAmounts }))
  return {
    cart,
    lines,
    totals,
    taxIncluded: tax.included,
    shippingOffers: offers,
    shippingOffer: offer,
    problems: [...problemsOfCart(cart, needsShipping, offer), ...lines.flatMap(problemsOfLine)],
  }
}

function problemsOfCart(cart: Cart, needsShipping: boolean, offer: ShippingOffer | null): CartProblem[] {
  const problems: CartProblem[] = []
  if (cart.items.length === 0) problems.push({ code: 'empty', pointer: '/items', detail: 'The cart is empty.' })
  if (!cart.email) problems.push({ code: 'missing-email', pointer: '/email', detail: 'An e-mail address is needed.' })
  if (!needsShipping) return problems
  if (!cart.shippingAddress)
    problems.push({ code: 'missing-address', pointer: '/shippingAddress', detail: 'A shipping address is needed.' })
  if (!offer)
    problems.push({
      code: 'missing-shipping-method',
      pointer: '/shippingMethod',
      detail: 'One of the shipping methods must be chosen.',
    })
  return problems
}

function problemsOfLine({ item, goods }: CartLine, index: number): CartProblem[] {
  const pointer = `/items/${index}`
  if (!goods?.onSale) return [{ code: 'not-for-sale', pointer, detail: 'This is not for sale any more.' }]
  if (goods.unitPriceMinor === null)
    return [{ code: 'no-price', pointer, detail: "This has no price in the cart's currency." }]
  if (goods.available !== null && goods.available < item.quantity)
    return [{ code: 'out-of-stock', pointer, detail: `${goods.available} available, ${item.quantity} wanted.` }]
  return []
}
