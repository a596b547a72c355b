import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox'
import { created, ok } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import { asOwn, refuseSearchBy } from '#platform/http/fields.ts'
import { closed, EmailSchema, idSchema, pageQuery, pageSchema, textSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { OrdersUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import type { OrderFilter, OrderViews } from './order-views.ts'
import {
  CancelBody,
  FulfilmentSchema,
  OrderSchema,
  OrderStatusSchema,
  OrderSummarySchema,
  PlaceOrderBody,
} from './schemas.ts'
import type { ShowOrder } from './show-order.ts'

const OrderParams = closed({ id: idSchema('ord') })
const TimeQuery = Type.Optional(Type.String({ format: 'date-time' }))
const ListQuery = closed({
  ...pageQuery,
  sort: Type.Optional(Type.Unsafe<'placedAt' | '-placedAt'>({ type: 'string', enum: ['placedAt', '-placedAt'] })),
  number: Type.Optional(textSchema(40)),
  email: Type.Optional(EmailSchema),
  sku: Type.Optional(textSchema(200)),
  status: Type.Optional(OrderStatusSchema),
  fulfilment: Type.Optional(FulfilmentSchema),
  'placedAt[gte]': TimeQuery,
  'placedAt[lt]': TimeQuery,
})

/** What a price or an offer that moved within the cache's 2 s may have caused: worth a second try with fresh ones. */
const STALE = new Set(['catalog.price-moved', 'orders.price-changed', 'orders.not-ready'])

/** Orders as their buyers use them: place, read, list, cancel. */
export const orderRoutes =
  (use: OrdersUseCases, views: OrderViews, showOrder: ShowOrder, { db, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.post(
      '/orders',
      {
        schema: {
          operationId: 'placeOrder',
          summary: 'Order a cart: its stock is held until holdUntil, for its payment',
          tags: ['orders'],
          body: PlaceOrderBody,
          response: { 201: OrderSchema },
        },
        config: {
          permission: 'orders:place',
          limits: [{ name: 'place-order', per: 'caller', points: 60, seconds: 60 }],
          idempotency: 'natural',
          refuses: [
            ...[
              'carts.not-found',
              'carts.already-ordered',
              'carts.already-merged',
              'orders.already-placed',
              'orders.checkout-paused',
              'orders.empty',
              'orders.not-ready',
            ],
            ...['orders.price-changed', 'orders.amount-too-large', 'payments.amount-too-small', 'catalog.out-of-stock'],
            ...['catalog.price-moved', 'catalog.not-for-sale'],
          ],
        },
      },
      async (request, reply) => {
        const place = (freshness: 'cached' | 'now') =>
          answer(request, reply, async (work) => {
            const { order, payment } = await use.placeOrder(work, request.body, freshness)
            return created(asOwn(showOrder.view(order, payment)), `/v1/orders/${order.id}`)
          })
        return place('cached').catch((error) => {
          if (STALE.has(error?.code)) return place('now')
          throw error
        })
      },
    )

    app.get(
      '/orders/:id',
      {
        schema: {
          operationId: 'readOrder',
          summary: 'An order; Retry-After while its payment is being made',
          tags: ['orders'],
          params: OrderParams,
          response: { 200: OrderSchema },
        },
        config: { permission: 'orders:read-own', refuses: ['orders.not-found'] },
      },
      async (request, reply) => {
        const order = await use.readOrder(db, request.actor, request.params.id)
        const { view, attemptIsLive } = await showOrder.withPayment(db, order, request.actor)
        if (attemptIsLive) reply.header('retry-after', '1')
        return view
      },
    )

    app.get(
      '/orders',
      {
        schema: {
          operationId: 'listOrders',
          summary: 'Orders, newest first: all of them for staff, their own for customers',
          tags: ['orders'],
          querystring: ListQuery,
          response: { 200: pageSchema(OrderSummarySchema) },
        },
        config: { permission: 'orders:read-own', refuses: ['orders.sign-in', 'platform.forbidden-field'] },
      },
      async (request) => {
        const { userId, permissions } = request.actor
        const seesAll = permissions.has('orders:read')
        if (!userId && !seesAll) throw refuse('orders.sign-in')
        if (seesAll && request.query.email !== undefined) refuseSearchBy('email', 'customers:read', request.actor)
        const page = await views.listOrders(db, filterOf(request.query, seesAll ? null : userId), userId)
        return { data: [...page.data], nextCursor: page.nextCursor }
      },
    )

    app.post(
      '/orders/:id/cancellation',
      {
        schema: {
          operationId: 'cancelOrder',
          summary: 'End an order of which nothing has shipped; what was paid goes back',
          tags: ['orders'],
          params: OrderParams,
          body: CancelBody,
          response: { 200: OrderSchema },
        },
        config: {
          permission: 'orders:cancel-own',
          idempotency: 'required',
          refuses: [
            'orders.not-found',
            'orders.cannot-cancel',
            'orders.invalid-transition',
            'orders.payment-in-progress',
            'catalog.nothing-on-hand',
          ],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { reason = 'Cancelled.', restock = true } = request.body
          const order = await use.cancelOrder(work, request.params.id, { reason, restock })
          return ok((await showOrder.withPayment(work.tx, order, work.actor)).view)
        }),
    )
  }

type Query = Static<typeof ListQuery>

function filterOf(query: Query, userId: string | null): OrderFilter {
  const { limit = 20, cursor, sort = '-placedAt', 'placedAt[gte]': from, 'placedAt[lt]': before, ...rest } = query
  return {
    ...rest,
    userId,
    limit,
    oldestFirst: sort === 'placedAt',
    ...(cursor === undefined ? {} : { afterId: placeOf(cursor, 'text')[0] }),
    ...(from ? { placedFrom: new Date(from) } : {}),
    ...(before ? { placedBefore: new Date(before) } : {}),
  }
}
