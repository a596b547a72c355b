import { type Problems, refuserOf } from '#kernel/refusal.ts'

/** Everything the catalogue can refuse. */
export const catalogProblems = {
  'catalog.product-not-found': { kind: 'not-found', title: 'No such product', advice: 'Check the id or handle.' },
  'catalog.variant-not-found': { kind: 'not-found', title: 'No such variant', advice: 'Check the id of the variant.' },
  'catalog.image-not-found': { kind: 'not-found', title: 'No such image', advice: 'Check the id of the image.' },
  'catalog.location-not-found': {
    kind: 'not-found',
    title: 'No such location, or nothing of this variant there',
    advice: 'Use a location that GET /v1/locations lists.',
  },
  'catalog.handle-taken': {
    kind: 'conflict',
    title: 'This handle is taken',
    advice: 'Choose another one; an archived product keeps its handle.',
  },
  'catalog.variant-exists': {
    kind: 'conflict',
    title: 'The product has a variant with these option values',
    advice: 'Change that variant instead, or give other option values; an archived variant can be made active again.',
  },
  'catalog.image-exists': {
    kind: 'conflict',
    title: 'The product has this image',
    advice: 'Each URL stands once in a product.',
  },
  'catalog.options-mismatch': {
    kind: 'invalid',
    title: 'The option values do not fit the options of the product',
    advice: 'Give one value for each option of the product, and no others.',
  },
  'catalog.invalid-price': {
    kind: 'invalid',
    title: 'The prices do not fit',
    advice: 'One price per known currency; compareAtMinor, where given, is higher than amountMinor.',
  },
  'catalog.invalid-handle': {
    kind: 'invalid',
    title: 'No handle can be made of this title',
    advice: 'Give a handle: lower-case letters and digits, joined by hyphens.',
  },
  'catalog.out-of-stock': {
    kind: 'conflict',
    title: 'Not enough stock',
    advice: 'Lower the quantities that `errors` names, or leave those lines out.',
  },
  'catalog.price-moved': {
    kind: 'conflict',
    title: 'A price has changed',
    advice: 'Read the prices again and repeat with the new ones.',
  },
  'catalog.not-for-sale': {
    kind: 'conflict',
    title: 'Not for sale',
    advice: 'Leave out the lines that `errors` names: the product or variant is no longer offered.',
  },
  'catalog.no-price': {
    kind: 'invalid',
    title: 'No price in this currency',
    advice: 'Prices are set per currency and never converted: choose a currency that the variant has a price in.',
  },
  'catalog.sku-ambiguous': {
    kind: 'conflict',
    title: 'Several variants carry this SKU',
    advice: 'Use the id of the variant that is meant; `variantIds` names them.',
  },
  'catalog.nothing-on-hand': {
    kind: 'conflict',
    title: 'There is not as much as that to ship',
    advice: 'Ship what is committed and on hand, or receive goods first by an adjustment.',
  },
  'catalog.stock-moved': {
    kind: 'conflict',
    title: 'The stock has changed since it was counted',
    advice: 'Count again, or repeat with the number in `onHand` as `expected` if the count still holds.',
  },
  'catalog.stock-below-zero': {
    kind: 'conflict',
    title: 'There is not as much on hand as that',
    advice: 'What is on hand stays between 0 and 1,000,000,000.',
  },
  'catalog.stock-is-sold': {
    kind: 'conflict',
    title: 'Units of this are already sold',
    advice: 'Fewer on hand than held and committed is a shortage: repeat with `allowShortage: true` if that is so.',
  },
  'catalog.import-not-found': { kind: 'not-found', title: 'No such import', advice: 'Check the id of the import.' },
} as const satisfies Problems

export const refuse = refuserOf(catalogProblems)
