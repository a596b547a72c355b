import type { DomainEvent } from '#kernel/event.ts'
import type { VariantId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { type Adjustment, adjustStock as adjust, changeStockRule as changeRule, type Stock } from '../domain/stock.ts'

export type AdjustStockNeeds = {
  lockOneStock(work: Work, variantId: VariantId, location: string): Promise<Stock>
  saveStock(
    work: Work,
    stock: readonly Stock[],
    why: { reason: 'adjustment'; reference: null; note: string | null },
  ): Promise<void>
}

export type StockAdjustment = Adjustment & {
  readonly variantId: VariantId
  readonly location: string
  /** Why, in the words of whoever does it. */
  readonly reason: string
}

/** Corrects what is on hand by a movement with its reason. Refuses catalog.location-not-found and what the stock does. */
export const adjustStock =
  (needs: AdjustStockNeeds) =>
  (work: Work, wanted: StockAdjustment): Promise<void> =>
    change(needs, work, wanted, wanted.reason, (stock) => adjust(stock, wanted))

/** Changes whether a variant's stock is counted and may be sold beyond what there is. */
export const changeStockRule =
  (needs: AdjustStockNeeds) =>
  (
    work: Work,
    wanted: Pick<Stock, 'variantId' | 'location'>,
    rule: { tracked?: boolean | undefined; backOrder?: boolean | undefined },
  ): Promise<void> =>
    change(needs, work, wanted, null, (stock) =>
      changeRule(stock, { tracked: rule.tracked ?? stock.tracked, backOrder: rule.backOrder ?? stock.backOrder }),
    )

async function change(
  needs: AdjustStockNeeds,
  work: Work,
  { variantId, location }: Pick<Stock, 'variantId' | 'location'>,
  note: string | null,
  decide: (stock: Stock) => Stock,
): Promise<void> {
  const before = await needs.lockOneStock(work, variantId, location)
  const after = decide(before)
  await needs.saveStock(work, [after], { reason: 'adjustment', reference: null, note })
  work.audit({ action: 'catalog.stock-adjusted', subject: variantId, before: told(before), after: told(after) })
  work.emit(adjusted(after))
}

const told = ({ location, onHand, shortage, tracked, backOrder }: Stock) => ({
  location,
  onHand,
  shortage,
  tracked,
  backOrder,
})

const adjusted = ({ variantId, location, onHand }: Stock): DomainEvent => ({
  type: 'catalog.stock-adjusted.v1',
  subject: variantId,
  data: { variantId, location, onHand },
})
