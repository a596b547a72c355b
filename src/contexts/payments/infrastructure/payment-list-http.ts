import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { placeOf } from '#platform/http/cursor.ts'
import { closed, idSchema, pageQuery, pageSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import { PaymentStatusSchema, PaymentSummarySchema } from './schemas.ts'
import { listPayments } from './staff-views.ts'

/** Payments as staff look for them. */
export const paymentListRoutes =
  ({ db }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/payments',
      {
        schema: {
          operationId: 'listPayments',
          summary: 'All payments, the newest first; those that wait for a person, or that a bank wants back',
          tags: ['payments'],
          querystring: closed({
            ...pageQuery,
            status: Type.Optional(PaymentStatusSchema),
            orderId: Type.Optional(idSchema('ord')),
            review: Type.Optional(Type.Boolean()),
            disputed: Type.Optional(Type.Boolean()),
          }),
          response: { 200: pageSchema(PaymentSummarySchema) },
        },
        config: { permission: 'payments:read' },
      },
      async ({ query: { limit = 20, cursor, ...filter } }) => {
        const [afterId] = cursor === undefined ? [] : placeOf(cursor, 'text')
        const { data, nextCursor } = await listPayments(db, { ...filter, limit, afterId })
        return { data: [...data], nextCursor }
      },
    )
  }
