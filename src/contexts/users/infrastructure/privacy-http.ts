import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UserId } from '#kernel/ids.ts'
import type { Actor } from '#platform/db/work.ts'
import { noContent, ok } from '#platform/http/answer.ts'
import { closed, EmailSchema, idSchema, named, nullable, TimeSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import { requireRecent } from '../domain/session.ts'

const open = (description: string) => Type.Unsafe<object>({ type: 'object', additionalProperties: true, description })
const listOf = (description: string) => Type.Array(open(description))
const Export = named(
  'PersonalDataExport',
  Type.Unsafe<Record<string, unknown>>(
    Type.Object(
      {
        exportedAt: TimeSchema,
        account: open('Who you are to the shop.'),
        addresses: listOf('One of your address book.'),
        sessions: listOf('Where and with what you logged in.'),
        activity: listOf('What the audit log has of you.'),
        carts: listOf('What you put together, and where it was to go.'),
        orders: listOf('What you bought, its payments and what happened to it.'),
      },
      { additionalProperties: true },
    ),
  ),
)
const EraseBody = named(
  'ErasePerson',
  closed(
    { userId: Type.Optional(idSchema('usr')), email: Type.Optional(EmailSchema) },
    { oneOf: [{ required: ['userId'] }, { required: ['email'] }] },
  ),
)
const ErasureView = named(
  'Erasure',
  closed({ id: idSchema('era'), userId: nullable(Type.String()), erasedAt: TimeSchema }),
)
const ERASURE_REFUSES = ['users.not-found', 'users.last-owner', 'orders.under-way'] as const

/** One archive is a lot to read: it is not for taking a shop's customers one by one. */
const EXPORTS = [{ name: 'export', per: 'caller', points: 20, seconds: 3_600 }] as const

/** A server key proves itself anew each time. */
function requireRecentOfStaff(actor: Actor, now: Date): void {
  if (actor.kind === 'staff') requireRecent(actor, now)
}

/** One's right to a copy of everything, and to be forgotten; staff do the same for those who write to the shop. */
export const privacyRoutes =
  (use: UserUseCases, { clock, perform, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    /** In one transaction: the archive is of one moment, and leaves its audit row. */
    const send = async ({ actor, id: requestId }: FastifyRequest, reply: FastifyReply, id: UserId) => {
      const archive = await perform({ actor, requestId }, async (work) => {
        work.audit({ action: 'users.export', subject: id, before: null, after: { exported: true } })
        return use.exportPerson(work.tx, id, work.now)
      })
      reply.header('content-disposition', `attachment; filename="${id}.json"`)
      return archive
    }

    app.get(
      '/users/me/export',
      {
        schema: {
          operationId: 'exportMe',
          summary: 'Everything that the shop keeps of me, as one JSON archive',
          tags: ['users'],
          response: { 200: Export },
        },
        config: { permission: 'account:read', refuses: ['users.not-found'], limits: EXPORTS },
      },
      async (request, reply) => {
        const { userId } = request.actor
        if (!userId) throw refuse('users.not-found')
        return send(request, reply, userId)
      },
    )

    app.delete(
      '/users/me',
      {
        schema: {
          operationId: 'closeMyAccount',
          summary: 'Close my account and forget me, at once and for good; needs a recent login',
          tags: ['users'],
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'account:write',
          idempotency: 'none',
          refuses: [...ERASURE_REFUSES, 'users.reauthentication-required'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { userId } = work.actor
          if (!userId) throw refuse('users.not-found')
          requireRecent(work.actor, work.now)
          await use.erasePerson(work, { userId })
          return noContent()
        }),
    )

    app.get(
      '/users/:id/export',
      {
        schema: {
          operationId: 'exportUser',
          summary: 'Everything that the shop keeps of a person with an account',
          tags: ['users'],
          params: closed({ id: idSchema('usr') }),
          response: { 200: Export },
        },
        config: {
          permission: 'privacy:manage',
          refuses: ['users.not-found', 'users.reauthentication-required'],
          limits: EXPORTS,
        },
      },
      (request, reply) => {
        requireRecentOfStaff(request.actor, clock())
        return send(request, reply, request.params.id)
      },
    )

    app.post(
      '/erasures',
      {
        schema: {
          operationId: 'erasePerson',
          summary: 'Forget a person, by account or by e-mail: the books stay, nothing in them tells whose they were',
          tags: ['users'],
          body: EraseBody,
          response: { 200: ErasureView },
        },
        config: {
          permission: 'privacy:manage',
          idempotency: 'required',
          refuses: [...ERASURE_REFUSES, 'users.staff-account', 'users.reauthentication-required'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          requireRecentOfStaff(work.actor, work.now)
          const { userId, email = '' } = request.body
          const erasure = await use.erasePerson(work, userId ? { userId } : { email })
          const { id, erasedAt } = erasure
          return ok({ id, userId: erasure.userId, erasedAt: erasedAt.toISOString() })
        }),
    )
  }
