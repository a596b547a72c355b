import { type Static, Type } from '@fastify/type-provider-typebox'
import { CurrencySchema, closed, idSchema, named, nullable, TimeSchema, type TSchema } from '#platform/http/schemas.ts'

const count = Type.Integer({ minimum: 0 })
const row = Type.Integer({ minimum: 1, description: 'As a spreadsheet counts: the header is row 1.' })
const manyOf = <Item extends TSchema>(item: Item) =>
  closed({ count, first: Type.Array(item) }, { description: 'How many, and the first 500 of them.' })
const note = closed({
  handle: Type.String(),
  code: Type.String(),
  row,
  column: Type.Optional(Type.String()),
  detail: Type.String(),
})

/** The names are the shop's own (`<iframe>`, `style=`): an object that answers only. */
const DroppedHtmlSchema = Type.Unsafe<Record<string, { products: number; times: number }>>({
  type: 'object',
  additionalProperties: closed({ products: count, times: count }),
})

const ReportSchema = named(
  'ImportReport',
  closed({
    products: closed({ created: manyOf(row), updated: manyOf(row), unchanged: manyOf(row), skipped: manyOf(row) }),
    variants: closed({ created: count, existing: count, skipped: count }),
    images: count,
    stock: closed({ opened: count, changed: count }),
    missing: closed({
      products: manyOf(Type.String()),
      variants: manyOf(closed({ handle: Type.String(), variantId: idSchema('var'), title: nullable(Type.String()) })),
      archived: count,
    }),
    otherFile: manyOf(closed({ handle: Type.String(), fileName: Type.String() })),
    skipped: manyOf(note),
    warnings: manyOf(note),
    withoutSku: manyOf(row),
    sharedSkus: manyOf(closed({ sku: Type.String(), rows: Type.Array(row) })),
    droppedHtml: DroppedHtmlSchema,
  }),
)

const choices = {
  currency: CurrencySchema,
  publish: Type.Boolean({ description: 'Make drafts of the file active.' }),
  existing: Type.Unsafe<'update' | 'skip'>({ type: 'string', enum: ['update', 'skip'] }),
  archiveMissing: Type.Boolean({ description: 'Archive what the file of this name no longer has.' }),
  stock: Type.Boolean({ description: 'Change stock by what the quantities changed since they were last taken.' }),
}

export const ImportQuery = closed({
  ...Type.Partial(closed(choices)).properties,
  fileName: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
})

export const ExportQuery = closed({ currency: Type.Optional(CurrencySchema) })

export const ImportSchema = named(
  'ImportView',
  closed({
    id: idSchema('imp'),
    fileName: Type.String(),
    status: Type.Unsafe<'waiting' | 'running' | 'finished' | 'refused'>({
      type: 'string',
      enum: ['waiting', 'running', 'finished', 'refused'],
    }),
    options: closed(choices),
    rows: count,
    rowsDone: count,
    report: nullable(ReportSchema),
    problem: nullable(closed({ row, column: Type.Optional(row), detail: Type.String() })),
    createdAt: TimeSchema,
    finishedAt: nullable(TimeSchema),
  }),
)
export type ImportView = Static<typeof ImportSchema>
