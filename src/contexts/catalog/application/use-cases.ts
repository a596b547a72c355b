import type { ImageId, ProductId, VariantId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import {
  addImage,
  addVariant,
  archiveProduct,
  changeProduct as change,
  changeVariant,
  type Image,
  type ProductDraft,
  removeImage,
  type Variant,
} from '../domain/product.ts'
import { MAIN_LOCATION, type Stock } from '../domain/stock.ts'
import { type AdjustStockNeeds, adjustStock, changeStockRule } from './adjust-stock.ts'
import { type ChangeProductNeeds, changeProduct } from './change-product.ts'
import { type CreateProductNeeds, createProduct, type NewVariant, stockedVariant } from './create-product.ts'
import { type HoldStockNeeds, holdStock } from './hold-stock.ts'

export type VariantChanges = Partial<Omit<Variant, 'id' | 'attributes'>> & Partial<Pick<Stock, 'tracked' | 'backOrder'>>

/** Everything the catalogue can be asked to do beside importing. `version` is the one that the caller has seen. */
export const catalogUseCases = (needs: CreateProductNeeds & ChangeProductNeeds & AdjustStockNeeds & HoldStockNeeds) => {
  const decideOn = changeProduct(needs)
  const setStockRule = changeStockRule(needs)
  return {
    holdStock: holdStock(needs),
    createProduct: createProduct(needs),
    changeProduct: (work: Work, id: ProductId, version: number, changes: Partial<ProductDraft>) =>
      decideOn(work, id, version, (product) => change(product, changes, work.now)),
    archiveProduct: (work: Work, id: ProductId, version: number) =>
      decideOn(work, id, version, (product) => archiveProduct(product, work.now)),
    addVariant: async (work: Work, id: ProductId, version: number, wanted: NewVariant) => {
      const { variant, opening } = stockedVariant(needs.newVariantId(), wanted)
      await decideOn(work, id, version, (product) => addVariant(product, variant, work.now))
      await needs.openStock(work, [opening])
    },
    changeVariant: async (
      work: Work,
      id: ProductId,
      version: number,
      variantId: VariantId,
      changes: VariantChanges,
    ) => {
      const { tracked, backOrder, ...rest } = changes
      await decideOn(work, id, version, (product) => changeVariant(product, variantId, rest, work.now))
      if (tracked === undefined && backOrder === undefined) return
      await setStockRule(work, { variantId, location: MAIN_LOCATION }, { tracked, backOrder })
    },
    addImage: (work: Work, id: ProductId, version: number, image: Omit<Image, 'id'>) =>
      decideOn(work, id, version, (product) => addImage(product, { ...image, id: needs.newImageId() }, work.now)),
    removeImage: (work: Work, id: ProductId, version: number, imageId: ImageId) =>
      decideOn(work, id, version, (product) => removeImage(product, imageId, work.now)),
    adjustStock: adjustStock(needs),
  }
}
export type CatalogUseCases = ReturnType<typeof catalogUseCases>
