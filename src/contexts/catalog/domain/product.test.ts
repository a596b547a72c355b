import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { changedFacts, factsOf } from './audit-facts.ts'
import { listingOf } from './listing.ts'
import {
  addImage,
  addVariant,
  archiveProduct,
  changeProduct,
  changeVariant,
  createProduct,
  optionKey,
  type Product,
  type ProductDraft,
  type ProductStatus,
  removeImage,
  type Variant,
  variantTitle,
} from './product.ts'

const NOW = new Date('2027-01-01T00:00:00Z')
const LATER = new Date('2027-01-02T00:00:00Z')

const aVariant = (over: Partial<Variant> = {}): Variant => ({
  ...{ id: 'var_1', sku: null, options: {}, barcode: null, weightGrams: null, taxable: true, requiresShipping: true },
  ...{ imageId: null, prices: [], attributes: {}, metadata: {}, status: 'active' },
  ...over,
})
const aDraft = (over: Partial<ProductDraft> = {}): ProductDraft => ({
  ...{
    id: 'prod_1',
    handle: 'mug',
    title: 'Mug',
    description: { given: '', html: '', text: '' },
    vendor: '',
    category: '',
  },
  ...{ tags: [], status: 'draft', options: [], variants: [aVariant()], images: [], attributes: {}, metadata: {} },
  ...over,
})
const aProduct = (over: Partial<ProductDraft> = {}): Product => createProduct(aDraft(over), NOW).state
const code = (expected: string) => expect.objectContaining({ code: expected })
const STATUSES: ProductStatus[] = ['draft', 'active', 'archived']

describe('its status', () => {
  test.each(STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const)))('%s → %s', (from, to) => {
    const change = changeProduct(aProduct({ status: from }), { status: to }, LATER)
    expect(change.state).toMatchObject({ status: to, version: 2, updatedAt: LATER })
    expect(change.events).toEqual([
      {
        type: to === 'archived' && from !== 'archived' ? 'catalog.product-archived.v1' : 'catalog.product-changed.v1',
        subject: 'prod_1',
        data: { productId: 'prod_1', version: 2 },
      },
    ])
  })

  test('it is published when it first becomes active, and stays so', () => {
    const draft = aProduct()
    expect(draft.publishedAt).toBeNull()
    const active = changeProduct(draft, { status: 'active' }, LATER).state
    expect(active.publishedAt).toBe(LATER)
    expect(changeProduct(active, { status: 'draft' }, NOW).state.publishedAt).toBe(LATER)
  })

  test('archiving it again is no change', () => {
    const archived = archiveProduct(aProduct(), LATER).state
    expect(archiveProduct(archived, LATER)).toEqual({ state: archived, events: [] })
  })
})

describe('its variants', () => {
  const shirt = aProduct({
    options: ['Size', 'Colour'],
    variants: [aVariant({ options: { Size: 'M', Colour: 'Red' } })],
  })

  test('are told apart by their option values, archived ones too', () => {
    const twin = aVariant({ id: 'var_2', options: { Colour: 'Red', Size: 'M' }, status: 'archived' })
    expect(() => addVariant(shirt, twin, LATER)).toThrow(code('catalog.variant-exists'))
    const other = addVariant(shirt, { ...twin, options: { Colour: 'Red', Size: 'L' } }, LATER).state
    expect(other.variants.map((variant) => variantTitle(other.options, variant.options))).toEqual([
      'M / Red',
      'L / Red',
    ])
    expect(() => changeVariant(other, 'var_2', { options: { Size: 'M', Colour: 'Red' } }, LATER)).toThrow(
      code('catalog.variant-exists'),
    )
  })

  test.each([
    ['a missing one', { Size: 'M' }],
    ['one too many', { Size: 'M', Colour: 'Red', Fit: 'Slim' }],
    ['another one', { Size: 'M', Fit: 'Slim' }],
    ['one from the prototype', { Size: 'M', toString: 'Red' }],
  ])('take one value for each option: %s is refused', (_what, options) =>
    expect(() => addVariant(shirt, aVariant({ id: 'var_2', options }), LATER)).toThrow(
      code('catalog.options-mismatch'),
    ),
  )

  test('an unknown one cannot be changed', () =>
    expect(() => changeVariant(shirt, 'var_9', {}, LATER)).toThrow(code('catalog.variant-not-found')))

  test('option values that only together look the same are different', () =>
    fc.assert(
      fc.property(
        fc.array(fc.string(), { minLength: 2, maxLength: 2 }),
        fc.array(fc.string(), { minLength: 2, maxLength: 2 }),
        (a, b) => {
          const key = ([x = '', y = '']: string[]) => optionKey(['One', 'Two'], { One: x, Two: y })
          expect(key(a) === key(b)).toBe(a[0] === b[0] && a[1] === b[1])
        },
      ),
    ))

  test.each([
    [
      'two in one currency',
      [
        { currency: 'USD', amountMinor: 1, compareAtMinor: null },
        { currency: 'USD', amountMinor: 2, compareAtMinor: null },
      ],
    ],
    ['an unknown currency', [{ currency: 'XYZ', amountMinor: 1, compareAtMinor: null }]],
    ['compare-at not higher', [{ currency: 'USD', amountMinor: 5, compareAtMinor: 5 }]],
  ])('prices that do not fit are refused: %s', (_what, prices) =>
    expect(() => changeVariant(aProduct(), 'var_1', { prices }, LATER)).toThrow(code('catalog.invalid-price')),
  )
})

test('images stand once each, are shown by variants of the product only, and go from them too', () => {
  const withImage = addImage(aProduct(), { id: 'img_1', url: 'https://x/1', alt: '' }, LATER).state
  expect(() => addImage(withImage, { id: 'img_2', url: 'https://x/1', alt: '' }, LATER)).toThrow(
    code('catalog.image-exists'),
  )
  expect(() => changeVariant(withImage, 'var_1', { imageId: 'img_9' }, LATER)).toThrow(code('catalog.image-not-found'))
  const linked = changeVariant(withImage, 'var_1', { imageId: 'img_1' }, LATER).state
  expect(removeImage(linked, 'img_1', LATER).state).toMatchObject({ images: [], variants: [{ imageId: null }] })
  expect(() => removeImage(linked, 'img_9', LATER)).toThrow(code('catalog.image-not-found'))
})

test('its listing is of active variants only: words, option pairs once, the lowest price in each currency', () => {
  const price = (currency: string, amountMinor: number) => ({ currency, amountMinor, compareAtMinor: null })
  const product = aProduct({
    ...{ title: 'Linen Shirt', vendor: 'Weavers', category: 'Shirts', tags: ['Summer'], options: ['Size', 'Colour'] },
    variants: [
      aVariant({
        id: 'var_1',
        sku: 'LS',
        options: { Size: 'M', Colour: 'Red' },
        prices: [price('USD', 500), price('JPY', 70)],
      }),
      aVariant({ id: 'var_2', sku: 'LS', options: { Size: 'L', Colour: 'Red' }, prices: [price('USD', 400)] }),
      aVariant({
        id: 'var_3',
        sku: 'OLD',
        options: { Size: 'S', Colour: 'Red' },
        prices: [price('USD', 1)],
        status: 'archived',
      }),
    ],
  })
  expect(listingOf(product)).toEqual({
    words: 'linen shirt weavers shirts summer ls',
    optionPairs: ['Size=M', 'Colour=Red', 'Size=L'],
    lowestPrices: [
      { currency: 'USD', amountMinor: 400 },
      { currency: 'JPY', amountMinor: 70 },
    ],
  })
})

test('the audit log is told what differs, and only that', () => {
  const before = aProduct({
    variants: [aVariant({ prices: [{ currency: 'USD', amountMinor: 5, compareAtMinor: null }] })],
  })
  const after = changeVariant(
    before,
    'var_1',
    { prices: [{ currency: 'EUR', amountMinor: 4, compareAtMinor: null }] },
    LATER,
  ).state
  expect(changedFacts(factsOf(before), factsOf(after))).toEqual({
    before: { 'var_1.USD': 5, 'var_1.EUR': null },
    after: { 'var_1.USD': null, 'var_1.EUR': 4 },
  })
})
