import { type Static, Type } from 'typebox'
import { writableBy } from '#platform/http/fields.ts'
import {
  CurrencySchema,
  closed,
  idSchema,
  MetadataSchema,
  MoneySchema,
  named,
  nullable,
  oneOf,
  pageQuery,
  TimeSchema,
  textSchema,
} from '#platform/http/schemas.ts'

const StatusSchema = oneOf('draft', 'active', 'archived')
const texts = (maxLength: number) =>
  Type.Unsafe<Record<string, string>>({
    type: 'object',
    maxProperties: 5,
    propertyNames: { type: 'string', minLength: 1, maxLength: 255 },
    additionalProperties: { type: 'string', minLength: 1, maxLength },
  })

const VariantView = named(
  'Variant',
  closed({
    id: idSchema('var'),
    sku: nullable(Type.String()),
    title: nullable(Type.String({ description: 'The option values; null when the product has no options.' })),
    status: oneOf('active', 'archived'),
    price: nullable(MoneySchema),
    compareAtPrice: nullable(MoneySchema),
    tracked: Type.Boolean(),
    backOrder: Type.Boolean({ description: 'May be sold beyond what is available.' }),
    available: nullable(Type.Integer({ description: 'Up to 5 s old; null when the stock is not tracked.' })),
    taxable: Type.Boolean(),
    requiresShipping: Type.Boolean(),
    barcode: nullable(Type.String()),
    weightGrams: nullable(Type.Integer()),
    options: texts(255),
    image: nullable(Type.String()),
    metadata: MetadataSchema,
  }),
)

const ImageView = named('Image', closed({ id: idSchema('img'), url: Type.String(), alt: Type.String() }))

export const ProductSchema = named(
  'Product',
  closed({
    id: idSchema('prod'),
    handle: Type.String(),
    title: Type.String(),
    description: Type.String({ description: 'As plain text.' }),
    descriptionHtml: Type.String({ description: 'Sanitised: safe to put into a page.' }),
    vendor: Type.String(),
    category: Type.String(),
    tags: Type.Array(Type.String()),
    status: StatusSchema,
    options: Type.Array(closed({ name: Type.String(), values: Type.Array(Type.String()) })),
    variants: Type.Array(VariantView),
    images: Type.Array(ImageView),
    metadata: MetadataSchema,
    createdAt: TimeSchema,
    updatedAt: TimeSchema,
  }),
)
export type ProductView = Static<typeof ProductSchema>

const FacetsSchema = named(
  'Facets',
  closed({
    category: Type.Array(closed({ value: Type.String(), count: Type.Integer() })),
    vendor: Type.Array(closed({ value: Type.String(), count: Type.Integer() })),
    tag: Type.Array(closed({ value: Type.String(), count: Type.Integer() })),
    option: Type.Array(closed({ name: Type.String(), value: Type.String(), count: Type.Integer() })),
    price: Type.Array(
      closed(
        { gte: Type.Integer(), lte: nullable(Type.Integer()), count: Type.Integer() },
        { description: 'By lowest price.' },
      ),
    ),
  }),
)
export type Facets = Static<typeof FacetsSchema>

export const ProductListSchema = named(
  'ProductList',
  closed({
    data: Type.Array(ProductSchema),
    nextCursor: nullable(Type.String()),
    facets: Type.Union([FacetsSchema, Type.Null()], {
      description: 'Of all products that match; null on later pages, where they are those of the first.',
    }),
  }),
)

const HANDLE = '^[a-z0-9]+(-[a-z0-9]+)*$'
const handle = Type.String({ pattern: HANDLE, maxLength: 255 })

export const CurrencyQuery = closed({ currency: Type.Optional(CurrencySchema) })

const SortSchema = oneOf('relevance', 'price', '-price', 'title', '-title', 'createdAt', '-createdAt')
export type Sort = Static<typeof SortSchema>

export const ProductQuery = closed(
  {
    ...pageQuery,
    q: Type.Optional(textSchema(200)),
    category: Type.Optional(textSchema(255)),
    tag: Type.Optional(textSchema(255)),
    vendor: Type.Optional(textSchema(255)),
    'price[gte]': Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    'price[lte]': Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    currency: Type.Optional(CurrencySchema),
    available: Type.Optional(Type.Boolean({ description: 'true: something of it can be bought now.' })),
    status: Type.Optional(StatusSchema),
    sort: Type.Optional(SortSchema),
  },
  { patternProperties: { '^option\\[[^\\]]{1,255}\\]$': { type: 'string', minLength: 1, maxLength: 255 } } },
)

const PriceBody = closed({
  currency: CurrencySchema,
  amountMinor: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  compareAtMinor: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }))),
})

const variantFields = {
  sku: nullable(textSchema(255)),
  options: texts(255),
  prices: writableBy('catalogue:price', Type.Array(PriceBody, { maxItems: 50 })),
  barcode: nullable(textSchema(255)),
  weightGrams: nullable(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
  taxable: Type.Boolean(),
  requiresShipping: Type.Boolean(),
  tracked: Type.Boolean(),
  backOrder: Type.Boolean(),
  metadata: MetadataSchema,
}

export const NewVariantBody = named(
  'NewVariant',
  closed({
    ...Type.Partial(closed(variantFields)).properties,
    onHand: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000_000 })),
  }),
)
export const VariantChangesBody = named(
  'VariantChanges',
  closed(
    {
      ...Type.Partial(closed(variantFields)).properties,
      imageId: Type.Optional(nullable(idSchema('img'))),
      status: Type.Optional(oneOf('active', 'archived')),
    },
    { minProperties: 1 },
  ),
)

export const NewImageBody = named(
  'NewImage',
  closed({
    url: Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 2048 }),
    alt: Type.Optional(Type.String({ maxLength: 1000 })),
  }),
)

const productFields = {
  handle,
  descriptionHtml: Type.String({ maxLength: 200_000, description: 'Kept as given, served sanitised.' }),
  vendor: Type.String({ maxLength: 255 }),
  category: Type.String({ maxLength: 255 }),
  tags: Type.Array(Type.String({ pattern: '^[^,]*$', minLength: 1, maxLength: 255 }), {
    description: 'Without commas, which part them in a CSV file.',
    maxItems: 250,
    uniqueItems: true,
  }),
  status: StatusSchema,
  metadata: MetadataSchema,
}

export const NewProductBody = named(
  'NewProduct',
  closed({
    title: textSchema(255),
    ...Type.Partial(closed(productFields)).properties,
    options: Type.Optional(Type.Array(textSchema(255), { maxItems: 5, uniqueItems: true })),
    variants: Type.Array(NewVariantBody, { minItems: 1, maxItems: 500 }),
    images: Type.Optional(Type.Array(NewImageBody, { maxItems: 250 })),
  }),
)
export const ProductChangesBody = named(
  'ProductChanges',
  closed({ ...Type.Partial(closed({ title: textSchema(255), ...productFields })).properties }, { minProperties: 1 }),
)

export type NewProductInput = Static<typeof NewProductBody>
export type NewVariantInput = Static<typeof NewVariantBody>
export type VariantChangesInput = Static<typeof VariantChangesBody>
export type ProductChangesInput = Static<typeof ProductChangesBody>

export const InventorySchema = named(
  'Inventory',
  closed({
    variantId: idSchema('var'),
    productId: idSchema('prod'),
    sku: nullable(Type.String()),
    location: Type.String(),
    tracked: Type.Boolean(),
    backOrder: Type.Boolean(),
    onHand: Type.Integer({ description: 'Physically there.' }),
    held: Type.Integer({ description: 'Ordered, not paid.' }),
    committed: Type.Integer({ description: 'Paid, not shipped.' }),
    available: nullable(
      Type.Integer({ description: 'onHand − held − committed; null when the stock is not tracked.' }),
    ),
    shortage: Type.Integer({ description: 'Units sold that a later count found missing.' }),
  }),
)
export type InventoryView = Static<typeof InventorySchema>

const location = Type.Optional(Type.String({ pattern: '^[a-z0-9-]{1,64}$', default: 'main' }))
export const InventoryQuery = closed({
  ...pageQuery,
  variantId: Type.Optional(idSchema('var')),
  sku: Type.Optional(textSchema(255)),
})

const units = (minimum: number) => Type.Integer({ minimum, maximum: 1_000_000_000 })
export const AdjustmentBody = named(
  'Adjustment',
  closed(
    {
      variantId: idSchema('var'),
      location,
      change: Type.Optional(units(-1_000_000_000)),
      count: Type.Optional(units(0)),
      expected: Type.Optional(units(0)),
      reason: textSchema(255),
      allowShortage: Type.Optional(Type.Boolean()),
    },
    { description: 'Either a `change` by so many, or a `count` together with what was `expected` to be on hand.' },
  ),
)
export const LocationSchema = named('Location', closed({ id: Type.String(), name: Type.String() }))
