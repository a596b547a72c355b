import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import type { UserId } from '#kernel/ids.ts'
import { created, noContent, ok } from '#platform/http/answer.ts'
import { placeOf } from '#platform/http/cursor.ts'
import { etagOf, versionOf } from '#platform/http/etag.ts'
import {
  AddressSchema,
  addressProperties,
  closed,
  idSchema,
  named,
  nullable,
  pageQuery,
  pageSchema,
} from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { UserUseCases } from '../application/use-cases.ts'
import { refuse } from '../domain/problems.ts'
import type { AddressStore } from './address-store.ts'

const { company, line2, region, phone, ...needed } = addressProperties
const optional = { company, line2, region, phone }
const View = named('AddressBookEntry', closed({ id: idSchema('adr'), ...addressProperties }))
const Change = named(
  'ChangeAddress',
  closed(
    {
      ...(Object.fromEntries(Object.entries(needed).map(([name, one]) => [name, Type.Optional(one)])) as {
        readonly [Name in keyof typeof needed]: ReturnType<typeof Type.Optional<(typeof needed)[Name]>>
      }),
      company: Type.Optional(nullable(optional.company)),
      line2: Type.Optional(nullable(optional.line2)),
      region: Type.Optional(nullable(optional.region)),
      phone: Type.Optional(nullable(optional.phone)),
    },
    { minProperties: 1 },
  ),
)
const Params = closed({ id: idSchema('adr') })
const OPTIMISTIC = ['users.address-not-found', 'platform.stale', 'platform.precondition-required'] as const

/** One's own address book. Orders keep copies: what is changed here changes no order. */
export const addressRoutes =
  (use: UserUseCases, store: AddressStore, { db, answer }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/users/me/addresses',
      {
        schema: {
          operationId: 'listAddresses',
          summary: 'My address book, the newest first',
          tags: ['users'],
          querystring: closed(pageQuery),
          response: { 200: named('AddressPage', pageSchema(View)) },
        },
        config: { permission: 'account:read' },
      },
      async (request) => {
        const { limit = 20, cursor } = request.query
        const [afterId] = cursor === undefined ? [] : placeOf(cursor, 'text')
        const page = await store.listAddresses(db, holderOf(request), limit, afterId)
        return { data: [...page.data], nextCursor: page.nextCursor }
      },
    )

    app.post(
      '/users/me/addresses',
      {
        schema: {
          operationId: 'addAddress',
          summary: 'Put an address into my book: at most 20',
          tags: ['users'],
          body: AddressSchema,
          response: { 201: View },
        },
        config: { permission: 'account:write', idempotency: 'optional', refuses: ['users.too-many-addresses'] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const address = await use.addAddress(work, holderOf(request), request.body)
          return created(address, `/v1/users/me/addresses/${address.id}`)
        }),
    )

    app.get(
      '/users/me/addresses/:id',
      {
        schema: {
          operationId: 'readAddress',
          summary: 'One of my addresses; its ETag is asked for by a change',
          tags: ['users'],
          params: Params,
          response: { 200: View },
        },
        config: { permission: 'account:read', refuses: ['users.address-not-found'] },
      },
      async (request, reply) => {
        const { address, version } = await store.readAddress(db, holderOf(request), request.params.id)
        reply.header('etag', etagOf(version))
        return address
      },
    )

    app.patch(
      '/users/me/addresses/:id',
      {
        schema: {
          operationId: 'changeAddress',
          summary: 'Change one of my addresses; null takes out what need not be there',
          tags: ['users'],
          params: Params,
          body: Change,
          response: { 200: View },
        },
        config: { permission: 'account:write', idempotency: 'optional', refuses: OPTIMISTIC },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { params, body } = request
          const changed = await use.changeAddress(work, holderOf(request), params.id, versionOf(request), body)
          return ok(changed.address, etagOf(changed.version))
        }),
    )

    app.delete(
      '/users/me/addresses/:id',
      {
        schema: {
          operationId: 'removeAddress',
          summary: 'Take an address out of my book',
          tags: ['users'],
          params: Params,
          response: { 204: Type.Null() },
        },
        config: { permission: 'account:write', idempotency: 'optional', refuses: OPTIMISTIC },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.removeAddress(work, holderOf(request), request.params.id, versionOf(request))
          return noContent()
        }),
    )
  }

/** Whoever has an account has a book; a server key has none. */
function holderOf({ actor }: FastifyRequest): UserId {
  if (!actor.userId) throw refuse('users.not-found')
  return actor.userId
}
