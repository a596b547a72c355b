import { type Static, type TSchema, Type } from 'typebox'
import { readableBy } from '#platform/http/fields.ts'
import {
  AddressSchema,
  CurrencySchema,
  closed,
  EmailSchema,
  idSchema,
  MetadataSchema,
  MoneySchema,
  named,
  nullable,
  oneOf,
  TimeSchema,
  textSchema,
} from '#platform/http/schemas.ts'
import { MAX_CART_ITEMS, MAX_UNITS } from '../domain/cart.ts'

/** A whole number of units; a fraction, 0 and too many are the right type but out of range. */
const quantitySchema = (minimum: number) => Type.Number({ minimum, maximum: MAX_UNITS, multipleOf: 1 })

/** A variant by its id or by its SKU: exactly one of the two. */
const wantedItem = closed(
  {
    variantId: Type.Optional(idSchema('var')),
    sku: Type.Optional(textSchema(200)),
    quantity: quantitySchema(1),
    metadata: Type.Optional(MetadataSchema),
  },
  { oneOf: [{ required: ['variantId'] }, { required: ['sku'] }] },
)
export const AddItemBody = named('AddCartItem', wantedItem)
export const SetItemBody = named('SetCartItem', closed({ quantity: quantitySchema(0) }))
export const MergeCartsBody = named('MergeCarts', closed({ fromCartId: idSchema('cart') }))

const note = textSchema(1000)
const methodId = textSchema(100)

/** Of the address book of the account, instead of the address itself. */
const namedAddresses = {
  shippingAddressId: Type.Optional(idSchema('adr')),
  billingAddressId: Type.Optional(idSchema('adr')),
}

export const CreateCartBody = named(
  'CreateCart',
  closed({
    currency: Type.Optional(CurrencySchema),
    items: Type.Optional(Type.Array(wantedItem, { maxItems: MAX_CART_ITEMS })),
    email: Type.Optional(EmailSchema),
    shippingAddress: Type.Optional(AddressSchema),
    billingAddress: Type.Optional(AddressSchema),
    ...namedAddresses,
    shippingMethod: Type.Optional(methodId),
    note: Type.Optional(note),
    metadata: Type.Optional(MetadataSchema),
  }),
)

/** Left out it stays as it is, null clears it. */
const clearable = <Schema extends TSchema>(schema: Schema) => Type.Optional(nullable(schema))

export const ChangeCartBody = named(
  'ChangeCart',
  closed({
    email: clearable(EmailSchema),
    shippingAddress: clearable(AddressSchema),
    billingAddress: clearable(AddressSchema),
    ...namedAddresses,
    shippingMethod: clearable(methodId),
    note: clearable(note),
    metadata: Type.Optional(MetadataSchema),
  }),
)

const line = {
  id: idSchema('item'),
  variantId: idSchema('var'),
  sku: nullable(Type.String()),
  title: Type.String(),
  variantTitle: nullable(Type.String()),
  options: Type.Record(Type.String(), Type.String()),
  image: nullable(Type.String()),
  quantity: Type.Integer(),
  total: MoneySchema,
  tax: MoneySchema,
  metadata: MetadataSchema,
}
/** What staff need to see whose an order is. */
const CUSTOMERS = 'customers:read'
const sums = {
  subtotal: MoneySchema,
  discount: MoneySchema,
  shipping: MoneySchema,
  tax: MoneySchema,
  taxIncluded: Type.Boolean(),
  total: MoneySchema,
}
export const CartSchema = named(
  'Cart',
  closed({
    id: idSchema('cart'),
    token: nullable(
      Type.String({ description: "A guest's proof, sent as X-Cart-Token; null when the cart is a customer's." }),
    ),
    status: Type.Union([Type.Literal('open'), Type.Literal('ordered'), Type.Literal('merged')]),
    orderId: nullable(idSchema('ord')),
    currency: CurrencySchema,
    items: Type.Array(
      closed({
        ...line,
        productId: nullable(idSchema('prod')),
        unitPrice: nullable(MoneySchema),
        available: nullable(Type.Integer({ description: 'Null: without limit.' })),
      }),
    ),
    ...sums,
    email: nullable(Type.String()),
    shippingAddress: nullable(AddressSchema),
    billingAddress: nullable(AddressSchema),
    note: nullable(Type.String()),
    metadata: MetadataSchema,
    shippingMethod: nullable(Type.String()),
    shippingMethods: Type.Array(closed({ id: Type.String(), title: Type.String(), price: MoneySchema })),
    problems: Type.Array(
      oneOf(
        'empty',
        'missing-email',
        'missing-address',
        'missing-shipping-method',
        'out-of-stock',
        'no-price',
        'not-for-sale',
      ),
      { description: 'What still blocks ordering; the items say which of them by available and unitPrice.' },
    ),
  }),
)
export type CartView = Static<typeof CartSchema>

export const PlaceOrderBody = named(
  'PlaceOrder',
  closed({
    cartId: idSchema('cart'),
    expectedTotal: Type.Optional(MoneySchema),
  }),
)

export const OrderStatusSchema = oneOf('pending', 'paid', 'shipped', 'delivered', 'expired', 'cancelled', 'returned')
export const FulfilmentSchema = oneOf('none', 'partial', 'shipped', 'delivered')
const states = {
  status: OrderStatusSchema,
  paymentStatus: oneOf('unpaid', 'authorised', 'paid', 'partiallyRefunded', 'refunded', 'disputed', 'review'),
  fulfilment: FulfilmentSchema,
  return: oneOf('none', 'requested', 'partial', 'returned'),
}

export const OrderSchema = named(
  'Order',
  closed({
    id: idSchema('ord'),
    number: Type.String(),
    cartId: idSchema('cart'),
    token: readableBy(
      CUSTOMERS,
      Type.String({ description: "A guest's proof, sent as X-Order-Token; null when the order is a customer's." }),
    ),
    ...states,
    currency: CurrencySchema,
    items: Type.Array(
      closed({
        ...line,
        productId: idSchema('prod'),
        unitPrice: MoneySchema,
        discount: MoneySchema,
        taxRate: Type.Integer({ description: 'Millionths: 21 % is 210000.' }),
        cancelled: Type.Integer(),
        shipped: Type.Integer(),
        returned: Type.Integer(),
        refundedUnits: Type.Integer({ description: 'Of refunds that name lines, from when they are promised.' }),
        refunded: MoneySchema,
      }),
    ),
    ...sums,
    shippingTax: MoneySchema,
    refunded: MoneySchema,
    shippingRefunded: MoneySchema,
    email: readableBy(CUSTOMERS, Type.String()),
    shippingAddress: readableBy(CUSTOMERS, AddressSchema),
    billingAddress: readableBy(CUSTOMERS, AddressSchema),
    note: readableBy(CUSTOMERS, Type.String()),
    metadata: MetadataSchema,
    shippingMethod: nullable(closed({ id: Type.String(), title: Type.String() })),
    holdUntil: nullable(TimeSchema),
    placedAt: TimeSchema,
    payment: nullable(closed({ id: idSchema('pay'), status: Type.String(), amount: MoneySchema })),
  }),
)
export type OrderView = Static<typeof OrderSchema>

export const OrderSummarySchema = named(
  'OrderSummary',
  closed({
    id: idSchema('ord'),
    number: Type.String(),
    ...states,
    total: MoneySchema,
    refunded: MoneySchema,
    units: Type.Integer(),
    email: readableBy(CUSTOMERS, Type.String()),
    placedAt: TimeSchema,
  }),
)
export type OrderSummary = Static<typeof OrderSummarySchema>

export const CancelBody = named(
  'CancelOrder',
  closed({
    reason: Type.Optional(textSchema(500)),
    restock: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'false, for staff only: the goods are not for sale again and leave the stock.',
      }),
    ),
  }),
)
export const StatusBody = named('ChangeOrderStatus', closed({ status: OrderStatusSchema }))

const units = { itemId: idSchema('item'), quantity: quantitySchema(1) }
export const ShipmentBody = named(
  'ShipOrder',
  closed({
    lines: Type.Optional(Type.Array(closed(units), { minItems: 1, maxItems: MAX_CART_ITEMS })),
    carrier: Type.Optional(textSchema(100)),
    trackingNumber: Type.Optional(textSchema(100)),
  }),
)
export const ReturnBody = named(
  'ReturnItems',
  closed({
    lines: Type.Array(closed({ ...units, restock: Type.Boolean() }), { minItems: 1, maxItems: MAX_CART_ITEMS }),
    reason: textSchema(500),
  }),
)
export const ReturnSchema = named(
  'Return',
  closed({
    id: idSchema('rtn'),
    items: Type.Array(
      closed({ itemId: idSchema('item'), quantity: Type.Integer(), restock: Type.Boolean(), worth: MoneySchema }),
    ),
    reason: Type.String(),
    order: OrderSchema,
  }),
)
export const NoteBody = named('WriteNote', closed({ text: textSchema(2000) }))
export const NoteSchema = named('Note', closed({ id: idSchema('note'), text: Type.String() }))

export const TimelineSchema = named(
  'Timeline',
  closed({
    data: Type.Array(
      closed({
        at: TimeSchema,
        kind: Type.String(),
        from: nullable(OrderStatusSchema),
        to: nullable(OrderStatusSchema),
        actor: Type.String({ description: 'guest, customer, staff, server or system' }),
        actorId: nullable(Type.String()),
        facts: Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true }),
        note: nullable(Type.String()),
      }),
    ),
  }),
)
export type Timeline = Static<typeof TimelineSchema>

export const StoreSchema = named(
  'Store',
  closed({
    name: Type.String(),
    currencies: Type.Array(CurrencySchema),
    country: Type.String(),
    countries: Type.Array(closed({ code: Type.String(), taxRate: Type.Integer(), taxIncluded: Type.Boolean() })),
    taxIncluded: Type.Boolean({ description: "Of the store's own country." }),
    shippingCountries: Type.Array(Type.String()),
    checkout: Type.Unsafe<'open' | 'paused'>({
      type: 'string',
      enum: ['open', 'paused'],
      description: 'Paused: placing orders answers 503. At most 5 seconds old.',
    }),
    paymentMethods: Type.Array(closed({ id: Type.String(), publishableKey: nullable(Type.String()) })),
    limits: closed({ itemsPerCart: Type.Integer(), unitsPerItem: Type.Integer(), holdMinutes: Type.Integer() }),
  }),
)
export type StoreView = Static<typeof StoreSchema>
