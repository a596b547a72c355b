import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { type Currency, isCurrency } from '#kernel/money.ts'
import { accepted } from '#platform/http/answer.ts'
import { closed, idSchema } from '#platform/http/schemas.ts'
import { newId } from '#platform/ids.ts'
import type { Platform } from '#platform/platform.ts'
import { refuse as refuseAs } from '#platform/problems.ts'
import { refuse } from '../domain/problems.ts'
import type { ExportProducts } from './export-csv.ts'
import { importRequested } from './import-jobs.ts'
import { ExportQuery, ImportQuery, ImportSchema } from './import-schemas.ts'
import { keepUpload, readImport } from './import-uploads.ts'

/** The body of an upload: for the Idempotency-Key it is its hash, not its megabytes. */
class Upload {
  readonly bytes: Buffer
  readonly sha256: string

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.sha256 = createHash('sha256').update(bytes).digest('hex')
  }

  toJSON(): string {
    return this.sha256
  }
}

type ImportRoutes = {
  readonly platform: Pick<Platform, 'db' | 'answer'>
  readonly exportProducts: ExportProducts
  /** What prices without a currency are in. */
  readonly currency: Currency
  readonly limitBytes: number
}

/** Product files in and out: an upload is kept and imported in the background. */
export const importRoutes =
  ({ platform: { db, answer }, exportProducts, currency, limitBytes }: ImportRoutes): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('text/csv', { parseAs: 'buffer', bodyLimit: limitBytes }, (_request, body, done) =>
      done(null, new Upload(body as Buffer)),
    )

    app.post(
      '/imports/products',
      {
        schema: {
          operationId: 'importProducts',
          summary: 'Import a Shopify product CSV in the background',
          tags: ['catalogue'],
          querystring: ImportQuery,
          body: {
            content: {
              'text/csv': { schema: { description: 'A product export of Shopify, either dialect, in UTF-8.' } },
            },
          },
          response: { 202: ImportSchema },
        },
        config: { permission: 'imports:run', idempotency: 'required', refuses: ['platform.too-large'] },
      },
      async (request, reply) => {
        const { fileName = 'upload.csv', ...chosen } = request.query
        if (!(request.body instanceof Upload)) throw refuseAs('platform.malformed', 'The body is to be a CSV file.')
        const { bytes, sha256 } = request.body
        const options = {
          currency,
          publish: false,
          existing: 'update',
          archiveMissing: false,
          stock: false,
          ...chosen,
        } as const
        checkCurrency(options.currency)
        return answer(request, reply, async (work) => {
          const id = await keepUpload(work, { id: newId('imp'), fileName, sha256, options }, bytes)
          work.emit(importRequested(id))
          work.audit({ action: 'catalog.import', subject: id, before: null, after: { fileName, sha256, ...options } })
          return accepted((await readImport(work.tx, id))!, `/v1/imports/${id}`)
        })
      },
    )

    app.get(
      '/imports/:id',
      {
        schema: {
          operationId: 'getImport',
          summary: 'How far an import is, and what came of it',
          tags: ['catalogue'],
          params: closed({ id: idSchema('imp') }),
          response: { 200: ImportSchema },
        },
        config: { permission: 'imports:run', refuses: ['catalog.import-not-found'] },
      },
      async ({ params: { id } }) => {
        const found = await readImport(db, id)
        if (!found) throw refuse('catalog.import-not-found')
        return found
      },
    )

    app.get(
      '/exports/products',
      {
        schema: {
          operationId: 'exportProducts',
          summary: 'The whole catalogue as a Shopify product CSV, which imports back to the same',
          tags: ['catalogue'],
          querystring: ExportQuery,
          produces: ['text/csv'],
          response: { 200: { description: 'A CSV file.', content: { 'text/csv': { schema: Type.String() } } } },
        },
        config: { permission: 'imports:run' },
      },
      async ({ query }, reply) => {
        const wanted = query.currency ?? currency
        checkCurrency(wanted)
        reply.type('text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="products.csv"')
        return reply.send(Readable.from(exportProducts(wanted)) as never)
      },
    )
  }

function checkCurrency(currency: Currency): void {
  if (isCurrency(currency)) return
  throw refuseAs('platform.invalid', undefined, {
    errors: [{ pointer: '/querystring/currency', detail: 'is not a currency of ISO 4217' }],
  })
}
