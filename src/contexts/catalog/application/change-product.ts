import type { Decision } from '#kernel/event.ts'
import type { ProductId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { changedFacts, factsOf } from '../domain/audit-facts.ts'
import type { Product } from '../domain/product.ts'

export type ChangeProductNeeds = {
  lockProduct(work: Work, id: ProductId, version: number): Promise<Product>
  saveProducts(work: Work, products: readonly Product[]): Promise<void>
}

/**
 * Changes a product, its variants or images by one decision, if it still is of that version, and leaves an audit row.
 * Refuses catalog.product-not-found, platform.stale, catalog.handle-taken and what the decision refuses.
 */
export const changeProduct =
  (needs: ChangeProductNeeds) =>
  async (
    work: Work,
    id: ProductId,
    version: number,
    decide: (product: Product) => Decision<Product>,
  ): Promise<void> => {
    const before = await needs.lockProduct(work, id, version)
    const { state: after, events } = decide(before)
    if (after === before) return
    await needs.saveProducts(work, [after])
    work.audit({ action: 'catalog.product-changed', subject: id, ...changedFacts(factsOf(before), factsOf(after)) })
    work.emit(...events)
  }
