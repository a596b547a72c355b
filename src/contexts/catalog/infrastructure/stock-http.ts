import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox'
import { pageOf } from '#kernel/page.ts'
import { created } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import { closed, nullable, pageSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import { refuse as refuseAs } from '#platform/problems.ts'
import type { StockAdjustment } from '../application/adjust-stock.ts'
import type { CatalogUseCases } from '../application/use-cases.ts'
import { MAIN_LOCATION } from '../domain/stock.ts'
import { AdjustmentBody, InventoryQuery, InventorySchema, LocationSchema } from './schemas.ts'
import { readInventory, readLocations } from './stock-views.ts'

/** What staff see and do about stock. `changed` is told after each commit. */
export const stockRoutes =
  (
    { db, answer }: Pick<Platform, 'db' | 'answer'>,
    use: CatalogUseCases,
    changed: () => void,
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/inventory',
      {
        schema: {
          operationId: 'listInventory',
          summary: 'Stock per variant and location',
          tags: ['stock'],
          querystring: InventoryQuery,
          response: { 200: pageSchema(InventorySchema) },
        },
        config: { permission: 'inventory:read' },
      },
      async ({ query: { limit = 20, cursor, variantId, sku } }) => {
        const after = cursor === undefined ? undefined : placeOf(cursor, 'text', 'text')
        const rows = await readInventory(db, { variantId, sku, location: undefined, limit, after })
        const page = pageOf(
          rows,
          limit,
          (row) => row,
          (row) => [row.variantId, row.location],
        )
        return { data: [...page.data], nextCursor: page.nextCursor }
      },
    )

    app.post(
      '/inventory/adjustments',
      {
        schema: {
          operationId: 'adjustStock',
          summary: 'Correct what is on hand, by a change or a count',
          tags: ['stock'],
          body: AdjustmentBody,
          response: { 201: InventorySchema },
        },
        config: {
          permission: 'inventory:adjust',
          idempotency: 'required',
          refuses: [
            'catalog.location-not-found',
            'catalog.stock-moved',
            'catalog.stock-below-zero',
            'catalog.stock-is-sold',
          ],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const adjustment = adjustmentOf(request.body)
          await use.adjustStock(work, adjustment)
          const { variantId, location } = adjustment
          const [stock] = await readInventory(work.tx, {
            variantId,
            sku: undefined,
            location,
            limit: 1,
            after: undefined,
          })
          return created(stock!, `/v1/inventory?variantId=${variantId}`)
        }).finally(changed),
    )

    app.get(
      '/locations',
      {
        schema: {
          operationId: 'listLocations',
          summary: 'The places where stock is',
          tags: ['stock'],
          querystring: closed({}),
          response: { 200: closed({ data: Type.Array(LocationSchema), nextCursor: nullable(Type.String()) }) },
        },
        config: { permission: 'inventory:read' },
      },
      async () => ({ data: await readLocations(db), nextCursor: null }),
    )
  }

/** Either a change, or a count with what was expected: never both, never a number out of nowhere. */
function adjustmentOf(given: Static<typeof AdjustmentBody>): StockAdjustment {
  const { variantId, location = MAIN_LOCATION, reason, allowShortage, change, count, expected } = given
  const common = { variantId, location, reason, allowShortage }
  if (change !== undefined && change !== 0 && count === undefined && expected === undefined)
    return { ...common, change }
  if (change === undefined && count !== undefined && expected !== undefined) return { ...common, count, expected }
  throw refuseAs('platform.invalid', 'Give either a change other than 0, or a count with what was expected.', {
    errors: [{ pointer: '', detail: 'takes either change, or count and expected' }],
  })
}
