import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { OrderId } from '#kernel/ids.ts'
import { money } from '#kernel/money.ts'
import type { Work } from '#platform/db/work.ts'
import { created, ok } from '#platform/http/answer.ts'
import { closed, idSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { OrdersUseCases } from '../application/use-cases.ts'
import type { OrderStatus } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'
import type { OrderViews } from './order-views.ts'
import {
  NoteBody,
  NoteSchema,
  OrderSchema,
  ReturnBody,
  ReturnSchema,
  ShipmentBody,
  StatusBody,
  TimelineSchema,
} from './schemas.ts'
import type { ShowOrder } from './show-order.ts'

const OrderParams = closed({ id: idSchema('ord') })
const COUNTED = [
  'orders.not-found',
  'orders.invalid-transition',
  'orders.item-not-found',
  'orders.too-many-units',
] as const

/** Orders as staff work on them: ship, deliver, take back, note, look at what happened. */
export const staffOrderRoutes =
  (use: OrdersUseCases, views: OrderViews, showOrder: ShowOrder, { db, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.patch(
      '/orders/:id/status',
      {
        schema: {
          operationId: 'changeOrderStatus',
          summary: 'Say that all that is left was shipped, or that it was delivered',
          tags: ['orders'],
          params: OrderParams,
          body: StatusBody,
          response: { 200: OrderSchema },
        },
        config: {
          permission: 'orders:ship',
          idempotency: 'optional',
          refuses: [...COUNTED, 'catalog.nothing-on-hand'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const order = await changeStatus(use, work, request.params.id, request.body.status)
          return ok((await showOrder.withPayment(work.tx, order, work.actor)).view)
        }),
    )

    app.post(
      '/orders/:id/shipments',
      {
        schema: {
          operationId: 'shipOrder',
          summary: 'Ship a part of an order, or all that is left of it',
          tags: ['orders'],
          params: OrderParams,
          body: ShipmentBody,
          response: { 201: OrderSchema },
        },
        config: {
          permission: 'orders:ship',
          idempotency: 'required',
          refuses: [...COUNTED, 'catalog.nothing-on-hand'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const order = await use.shipOrder(work, request.params.id, request.body)
          return created((await showOrder.withPayment(work.tx, order, work.actor)).view, `/v1/orders/${order.id}`)
        }),
    )

    app.post(
      '/orders/:id/returns',
      {
        schema: {
          operationId: 'returnItems',
          summary: 'Record units that came back; the money goes back by a refund of the payment',
          tags: ['orders'],
          params: OrderParams,
          body: ReturnBody,
          response: { 201: ReturnSchema },
        },
        config: { permission: 'orders:ship', idempotency: 'required', refuses: COUNTED },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { order, taken } = await use.takeBackItems(work, request.params.id, request.body)
          const { view } = await showOrder.withPayment(work.tx, order, work.actor)
          const items = taken.items.map(({ refundMinor, ...item }) => ({
            ...item,
            worth: money(refundMinor, order.currency),
          }))
          return created({ id: taken.id, items, reason: taken.reason, order: view }, `/v1/orders/${order.id}`)
        }),
    )

    app.post(
      '/orders/:id/notes',
      {
        schema: {
          operationId: 'addOrderNote',
          summary: 'Write a note that staff see in the timeline',
          tags: ['orders'],
          params: OrderParams,
          body: NoteBody,
          response: { 201: NoteSchema },
        },
        config: { permission: 'orders:note', idempotency: 'optional', refuses: ['orders.not-found'] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id, orderId, text } = await use.addNote(work, request.params.id, request.body.text)
          return created({ id, text }, `/v1/orders/${orderId}/timeline`)
        }),
    )

    app.get(
      '/orders/:id/timeline',
      {
        schema: {
          operationId: 'readOrderTimeline',
          summary: 'Everything that happened to an order, oldest first',
          tags: ['orders'],
          params: OrderParams,
          response: { 200: TimelineSchema },
        },
        config: { permission: 'orders:read', refuses: ['orders.not-found'] },
      },
      async (request) => {
        const timeline = await views.timelineOf(db, request.params.id)
        if (timeline.data.length === 0) throw refuse('orders.not-found')
        return timeline
      },
    )
  }

/** Only shipping and delivery are said by hand; every other state is reached by what causes it. */
async function changeStatus(use: OrdersUseCases, work: Work, id: OrderId, status: OrderStatus) {
  if (status === 'shipped') return use.shipOrder(work, id)
  if (status === 'delivered') return use.deliverOrder(work, id)
  await use.readOrder(work.tx, work.actor, id)
  throw refuse('orders.invalid-transition', `An order is not made ${status} by hand.`)
}
