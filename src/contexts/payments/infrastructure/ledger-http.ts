import { Readable } from 'node:stream'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { placeOf } from '#platform/http/cursor.ts'
import {
  CurrencySchema,
  closed,
  idSchema,
  MoneySchema,
  named,
  pageQuery,
  pageSchema,
  TimeSchema,
} from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { ExportLedger } from './ledger-export.ts'
import { LedgerEntrySchema } from './ledger-schemas.ts'
import { listLedger, listLedgerDays } from './ledger-views.ts'

const LedgerDaySchema = named(
  'LedgerDay',
  closed({
    day: Type.String({ format: 'date', description: 'UTC.' }),
    accounts: Type.Array(
      closed(
        { account: Type.String(), debit: MoneySchema, credit: MoneySchema, balance: MoneySchema },
        { description: '`balance` is debit less credit.' },
      ),
    ),
  }),
)
const range = { from: Type.Optional(TimeSchema), before: Type.Optional(TimeSchema) }
const rangeOf = ({ from, before }: { from?: string | undefined; before?: string | undefined }) => ({
  from: from === undefined ? undefined : new Date(from),
  before: before === undefined ? undefined : new Date(before),
})
const afterIdOf = (cursor: string | undefined) => (cursor === undefined ? undefined : placeOf(cursor, 'integer')[0])
const tags = ['payments']

/** The books: entry by entry, day by day, and as a file for accounting. They can only be read. */
export const ledgerRoutes =
  ({ db, perform }: Platform, exportLedger: ExportLedger): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/ledger',
      {
        schema: {
          operationId: 'listLedger',
          summary: 'The entries of the books, what was booked last first; of an order, a payment, a time',
          tags,
          querystring: closed({
            ...pageQuery,
            ...range,
            orderId: Type.Optional(idSchema('ord')),
            paymentId: Type.Optional(idSchema('pay')),
          }),
          response: { 200: pageSchema(LedgerEntrySchema) },
        },
        config: { permission: 'ledger:read' },
      },
      async ({ query: { limit = 20, cursor, orderId, paymentId, ...times } }) => {
        const filter = { ...rangeOf(times), orderId, paymentId, afterId: afterIdOf(cursor), limit }
        const { data, nextCursor } = await listLedger(db, filter)
        return { data: [...data], nextCursor }
      },
    )

    app.get(
      '/ledger/days',
      {
        schema: {
          operationId: 'listLedgerDays',
          summary: 'What moved on each day, by currency and account, the last day first',
          tags,
          querystring: closed({ ...pageQuery, ...range, currency: Type.Optional(CurrencySchema) }),
          response: { 200: pageSchema(LedgerDaySchema) },
        },
        config: { permission: 'ledger:read' },
      },
      async ({ query: { limit = 20, cursor, currency, ...times } }) => {
        const filter = { ...rangeOf(times), currency, afterId: afterIdOf(cursor), limit }
        const { data, nextCursor } = await listLedgerDays(db, filter)
        return { data: data.map(({ day, accounts }) => ({ day, accounts: [...accounts] })), nextCursor }
      },
    )

    app.get(
      '/exports/ledger',
      {
        schema: {
          operationId: 'exportLedger',
          summary: 'The entries of the books as CSV, in the order they were booked; kept in the audit log',
          tags,
          querystring: closed(range),
          produces: ['text/csv'],
          response: { 200: { description: 'A CSV file.', content: { 'text/csv': { schema: Type.String() } } } },
        },
        config: { permission: 'ledger:read' },
      },
      async ({ actor, id: requestId, query }, reply) => {
        await perform({ actor, requestId }, async (work) =>
          work.audit({ action: 'ledger.export', subject: 'ledger', before: null, after: query }),
        )
        reply.type('text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="ledger.csv"')
        return reply.send(Readable.from(exportLedger(rangeOf(query))) as never)
      },
    )
  }
