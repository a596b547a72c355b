import type { VariantId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import type { Note } from '../domain/file-product.ts'
import { emptyReport, type ImportReport, many } from '../domain/import-report.ts'
import type { Merged } from '../domain/merge-product.ts'
import { adjustStock, changeStockRule, MAIN_LOCATION, type Stock } from '../domain/stock.ts'
import type { ImportContext } from './apply-readings.ts'

/** The quantity of a file that a variant's stock was last set or changed by; never below 0. */
export type TakenQuantity = { readonly variantId: VariantId; readonly quantity: number }

type Opening = Pick<Stock, 'variantId' | 'location' | 'onHand' | 'tracked' | 'backOrder'> & {
  readonly note: string | null
}
type Reason = { readonly reason: 'import'; readonly reference: string | null; readonly note: string | null }

export type ImportStockNeeds = {
  readonly openStock: (work: Work, openings: readonly Opening[], reference: string | null) => Promise<void>
  readonly lockStock: (work: Work, variantIds: readonly VariantId[], location: string) => Promise<Stock[]>
  readonly saveStock: (work: Work, stock: readonly Stock[], why: Reason) => Promise<void>
  readonly readQuantities: (work: Work, ids: readonly VariantId[]) => Promise<TakenQuantity[]>
  readonly saveQuantities: (work: Work, taken: readonly TakenQuantity[]) => Promise<void>
}

type FileStock = Merged['variants'][number]

export type ImportStock = (work: Work, variants: readonly FileStock[], context: ImportContext) => Promise<ImportReport>

/**
 * Opens the stock of new variants with the file's quantity. Of the others it takes over whether they are counted and may
 * be back-ordered, and, only when asked to, changes what is on hand by (quantity now − quantity last taken): what was
 * sold in between stays sold.
 */
export const importStock =
  (needs: ImportStockNeeds): ImportStock =>
  async (work, variants, context) => {
    const fresh = variants.filter((variant) => variant.isNew)
    const openings = fresh.map(openingOf)
    if (fresh.length > 0) await needs.openStock(work, openings, context.importId)
    const taken = fresh.map((variant) => ({ variantId: variant.id, quantity: quantityOf(variant) ?? 0 }))
    const { changed, retaken, warnings } = await changeStock(needs, work, variants, context)
    if (changed.length > 0)
      await needs.saveStock(work, changed, { reason: 'import', reference: context.importId, note: context.fileName })
    if (taken.length + retaken.length > 0) await needs.saveQuantities(work, [...taken, ...retaken])
    return { ...emptyReport, stock: { opened: openings.length, changed: changed.length }, warnings: many(warnings) }
  }

/** What the file counts: below 0 is nothing, undefined is not counted. */
const quantityOf = ({ file }: FileStock): number | undefined =>
  typeof file.quantity === 'number' ? Math.max(0, file.quantity) : undefined

const openingOf = (variant: FileStock): Opening => {
  const { quantity, tracked, backOrder } = variant.file
  return {
    variantId: variant.id,
    location: MAIN_LOCATION,
    onHand: quantityOf(variant) ?? 0,
    tracked: tracked ?? typeof quantity === 'number',
    backOrder: backOrder ?? false,
    note: typeof quantity === 'number' && quantity < 0 ? `the file said ${quantity}` : null,
  }
}

async function changeStock(
  needs: ImportStockNeeds,
  work: Work,
  variants: readonly FileStock[],
  context: ImportContext,
) {
  const byId = new Map(variants.filter((variant) => !variant.isNew).map((variant) => [variant.id, variant]))
  const follows = context.options.stock
  const ids = [...byId.keys()].filter((id) => follows || hasRule(byId.get(id)!))
  const last = new Map<VariantId, number>()
  if (follows) for (const one of await needs.readQuantities(work, ids)) last.set(one.variantId, one.quantity)
  const changed: Stock[] = []
  const retaken: TakenQuantity[] = []
  const warnings: (Note & { handle: string })[] = []
  for (const stock of ids.length > 0 ? await needs.lockStock(work, ids, MAIN_LOCATION) : []) {
    const variant = byId.get(stock.variantId)!
    const { tracked = stock.tracked, backOrder = stock.backOrder } = variant.file
    const ruled = changeStockRule(stock, { tracked, backOrder })
    const quantity = follows ? quantityOf(variant) : undefined
    const before = last.get(stock.variantId)
    if (quantity !== undefined && quantity !== before) retaken.push({ variantId: stock.variantId, quantity })
    const change = quantity === undefined || before === undefined ? 0 : Math.max(quantity - before, -stock.onHand)
    if (quantity !== undefined && before !== undefined && change > quantity - before)
      warnings.push({
        code: 'negative-quantity',
        row: variant.file.row,
        handle: '',
        detail: `${quantity - before} from ${stock.onHand} on hand is taken as 0`,
      })
    const after = change === 0 ? ruled : adjustStock(ruled, { change, allowShortage: true })
    if (after.onHand !== stock.onHand || after.tracked !== stock.tracked || after.backOrder !== stock.backOrder)
      changed.push(after)
  }
  return { changed, retaken, warnings }
}

const hasRule = ({ file }: FileStock) => file.tracked !== undefined || file.backOrder !== undefined
