import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { noContent } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import {
  closed,
  idSchema,
  named,
  nullable,
  oneOf,
  pageQuery,
  pageSchema,
  TimeSchema,
  textSchema,
} from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { WebhookStatus } from '../application/replay-webhooks.ts'
import type { PaymentsUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { listWebhooks, readWebhook } from './inbox-views.ts'

const StatusSchema = oneOf<WebhookStatus>('due', 'done', 'parked')
const ProviderSchema = Type.String({ pattern: '^[a-z]{1,30}$' })
const webhook = {
  id: Type.Integer(),
  provider: Type.String(),
  eventId: Type.String({ description: "The provider's: the same one is stored once." }),
  type: Type.String({ description: "The provider's word for what happened." }),
  status: StatusSchema,
  paymentId: nullable(idSchema('pay')),
  providerPaymentId: nullable(Type.String({ description: 'Null: it is about nothing that a payment depends on.' })),
  receivedAt: TimeSchema,
  tries: Type.Integer(),
  dueAt: nullable(TimeSchema),
  doneAt: nullable(TimeSchema),
  parkedAt: nullable(TimeSchema),
  lastError: nullable(Type.String()),
}
const WebhookSchema = named('PaymentWebhook', closed(webhook))
const WebhookWithBodySchema = named(
  'PaymentWebhookWithBody',
  closed({ ...webhook, body: nullable(Type.String({ description: 'As it was signed, usually JSON.' })) }),
)
const Params = closed({ id: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }) })
const tags = ['payments']

/** The inbox as staff see it: what providers sent, what came of it, and another try. */
export const inboxRoutes =
  (use: PaymentsUseCases, { db, encryption, perform, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/payments/webhooks',
      {
        schema: {
          operationId: 'listPaymentWebhooks',
          summary: 'What payment providers have sent: the newest first',
          tags,
          querystring: closed({
            ...pageQuery,
            status: Type.Optional(StatusSchema),
            provider: Type.Optional(ProviderSchema),
            type: Type.Optional(textSchema(100)),
            payment: Type.Optional(idSchema('pay')),
          }),
          response: { 200: pageSchema(WebhookSchema) },
        },
        config: { permission: 'webhooks:read' },
      },
      async ({ query: { limit = 20, cursor, ...filter } }) => {
        const [beforeId] = cursor === undefined ? [] : placeOf(cursor, 'integer')
        const { data, nextCursor } = await listWebhooks(db, {
          ...filter,
          limit,
          ...(beforeId === undefined ? {} : { beforeId }),
        })
        return { data: [...data], nextCursor }
      },
    )

    app.get(
      '/payments/webhooks/:id',
      {
        schema: {
          operationId: 'readPaymentWebhook',
          summary: 'One webhook with its body; that somebody read it is kept in the audit log',
          tags,
          params: Params,
          response: { 200: WebhookWithBodySchema },
        },
        config: { permission: 'webhooks:read', refuses: ['payments.webhook-not-found'] },
      },
      ({ actor, id: requestId, params: { id } }) =>
        perform({ actor, requestId }, async (work) => {
          const found = await readWebhook(work.tx, encryption, id)
          if (!found) throw refuse('payments.webhook-not-found')
          work.audit({ action: 'webhooks.read', subject: String(id), before: null, after: { read: true } })
          return found
        }),
    )

    app.post(
      '/payments/webhooks/:id/replay',
      {
        schema: {
          operationId: 'replayPaymentWebhook',
          summary: 'Have a webhook worked on again',
          description: 'What it is about is read again from the provider, so that doing it once more does no harm.',
          tags,
          params: Params,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'webhooks:replay',
          idempotency: 'optional',
          refuses: ['payments.webhook-not-found', 'payments.webhook-about-nothing'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.replayWebhook(work, request.params.id)
          return noContent()
        }),
    )
  }
