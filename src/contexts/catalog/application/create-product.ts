import type { ImageId, ProductId, VariantId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { factsOf } from '../domain/audit-facts.ts'
import {
  createProduct as decide,
  type Image,
  type Product,
  type ProductDraft,
  type Variant,
} from '../domain/product.ts'
import { MAIN_LOCATION, type Stock } from '../domain/stock.ts'

/** A variant to be: what it is, and the stock it begins with. */
export type NewVariant = Omit<Variant, 'id' | 'imageId' | 'attributes' | 'status'> &
  Pick<Stock, 'tracked' | 'backOrder' | 'onHand'>

export type NewProduct = Omit<ProductDraft, 'id' | 'variants' | 'images' | 'attributes'> & {
  readonly variants: readonly NewVariant[]
  readonly images: readonly Omit<Image, 'id'>[]
}

export type OpenStock = (
  work: Work,
  openings: readonly (Pick<Stock, 'variantId' | 'location' | 'tracked' | 'backOrder' | 'onHand'> & { note: null })[],
) => Promise<void>

export type CreateProductNeeds = {
  newProductId(): ProductId
  newVariantId(): VariantId
  newImageId(): ImageId
  saveProducts(work: Work, products: readonly Product[]): Promise<void>
  openStock: OpenStock
}

/** Creates a product with its variants, their prices and opening stock. Refuses catalog.handle-taken and what the product does. */
export const createProduct =
  (needs: CreateProductNeeds) =>
  async (work: Work, wanted: NewProduct): Promise<ProductId> => {
    const stocked = wanted.variants.map((variant) => stockedVariant(needs.newVariantId(), variant))
    const images = wanted.images.map((image) => ({ ...image, id: needs.newImageId() }))
    const variants = stocked.map(({ variant }) => variant)
    const draft = { ...wanted, id: needs.newProductId(), variants, images, attributes: {} }
    const { state: product, events } = decide(draft, work.now)
    await needs.saveProducts(work, [product])
    await needs.openStock(
      work,
      stocked.map(({ opening }) => opening),
    )
    const onHand = stocked.map(({ opening }) => [`${opening.variantId}.onHand`, opening.onHand])
    const after = { ...factsOf(product), ...Object.fromEntries(onHand) }
    work.audit({ action: 'catalog.product-created', subject: product.id, before: null, after })
    work.emit(...events)
    return product.id
  }

/** Tells a variant from the stock it begins with. */
export function stockedVariant(id: VariantId, { tracked, backOrder, onHand, ...rest }: NewVariant) {
  const variant: Variant = { ...rest, id, imageId: null, attributes: {}, status: 'active' }
  return { variant, opening: { variantId: id, location: MAIN_LOCATION, tracked, backOrder, onHand, note: null } }
}
