import { type FastifyPluginAsyncTypebox, type Static, Type } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Currency, isCurrency } from '#kernel/money.ts'
import { cursorAfter, type Keyset } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import { badParameter, placeOf } from '#platform/http/cursor.ts'
import { etagOf } from '#platform/http/etag.ts'
import { closed, named, nullable } from '#platform/http/schemas.ts'
import { refuse as refuseAs } from '#platform/problems.ts'
import { refuse } from '../domain/problems.ts'
import { type ProductSearch, searchProducts } from './product-search.ts'
import { readCategories, readProductViews } from './product-views.ts'
import { CurrencyQuery, ProductListSchema, ProductQuery, ProductSchema, type Sort } from './schemas.ts'
import type { Served, Shelf } from './shelf.ts'

const CategorySchema = named('Category', closed({ category: Type.String(), products: Type.Integer() }))

/** Together with the 3 s of the shelf: what a shopper sees is at most 5 s old. */
const CACHE_CONTROL = 'public, max-age=0, s-maxage=2'

const staff = (request: FastifyRequest): boolean => request.actor.permissions.has('catalogue:write')

/** What everybody reads: products by search and filter, one product, the categories. Staff see drafts too, and no cache. */
export const storefrontRoutes =
  (db: Reader, shelf: Shelf, defaultCurrency: Currency): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/products',
      {
        schema: {
          operationId: 'listProducts',
          summary: 'Search and filter products',
          description:
            'Filter options by `option[Size]=M`. Sorts by relevance when `q` is given, by newest otherwise. Prices in ' +
            'filters, sorts and facets are the lowest of each product. Only staff may ask for another `status` than active.',
          tags: ['catalogue'],
          querystring: ProductQuery,
          response: { 200: ProductListSchema },
        },
        config: { permission: 'public', refuses: ['platform.unauthenticated', 'platform.forbidden'] },
      },
      async (request, reply) => {
        const search = searchOf(request.query, defaultCurrency)
        if (search.status === 'active') return send(request, reply, await shelf.list(request.url, search))
        if (!staff(request))
          throw refuseAs(request.actor.kind === 'guest' ? 'platform.unauthenticated' : 'platform.forbidden')
        return listForStaff(db, search)
      },
    )

    app.get(
      '/products/:idOrHandle',
      {
        schema: {
          operationId: 'getProduct',
          summary: 'Read one product, by its id or handle',
          tags: ['catalogue'],
          params: closed({ idOrHandle: Type.String({ minLength: 1, maxLength: 255 }) }),
          querystring: CurrencyQuery,
          response: { 200: ProductSchema },
        },
        config: { permission: 'public', refuses: ['catalog.product-not-found'] },
      },
      async (request, reply) => {
        const { idOrHandle } = request.params
        const currency = currencyOf(request.query.currency, defaultCurrency)
        if (!staff(request)) {
          const product = await shelf.product(idOrHandle, currency)
          if (!product) throw refuse('catalog.product-not-found')
          return send(request, reply, product)
        }
        const [product] = await readProductViews(db, [idOrHandle], currency, true)
        if (!product) throw refuse('catalog.product-not-found')
        reply.header('etag', etagOf(product.version))
        return product.view
      },
    )

    app.get(
      '/categories',
      {
        schema: {
          operationId: 'listCategories',
          summary: 'The categories of products on sale',
          tags: ['catalogue'],
          querystring: closed({}),
          response: {
            200: closed({
              data: Type.Array(CategorySchema),
              nextCursor: nullable(Type.String()),
            }),
          },
        },
        config: { permission: 'public' },
      },
      async (_request, reply) => {
        reply.header('cache-control', CACHE_CONTROL)
        return { data: await readCategories(db), nextCursor: null }
      },
    )
  }

/** Sends bytes that any cache may keep; 304 to whoever has them. Staff get another answer at the same address. */
function send(request: FastifyRequest, reply: FastifyReply, { bytes, etag }: Served): never {
  reply.header('etag', etag).header('cache-control', CACHE_CONTROL).header('vary', 'Origin, Authorization')
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send() as never
  return reply.header('content-type', 'application/json; charset=utf-8').send(bytes) as never
}

const isKnown = (ifNoneMatch: string | undefined, etag: string): boolean =>
  ifNoneMatch !== undefined &&
  (ifNoneMatch.trim() === '*' || ifNoneMatch.split(',').some((known) => known.trim().replace(/^W\//, '') === etag))

function currencyOf(given: string | undefined, fallback: Currency): Currency {
  if (given !== undefined && !isCurrency(given)) throw badParameter('currency', 'is not an ISO 4217 code')
  return given ?? fallback
}

function searchOf(query: Static<typeof ProductQuery>, defaultCurrency: Currency): ProductSearch {
  const sort = query.sort ?? (query.q === undefined ? '-createdAt' : 'relevance')
  if (sort === 'relevance' && query.q === undefined) throw badParameter('sort', 'can be relevance only with q')
  return {
    words: query.q,
    category: query.category,
    tag: query.tag,
    vendor: query.vendor,
    options: Object.entries(query).flatMap(
      ([name, value]) =>
        /^option\[(.+)\]$/
          .exec(name)
          ?.slice(1)
          .map((option) => `${option}=${value}`) ?? [],
    ),
    currency: currencyOf(query.currency, defaultCurrency),
    fromMinor: query['price[gte]'],
    toMinor: query['price[lte]'],
    available: query.available,
    status: query.status ?? 'active',
    sort,
    limit: query.limit ?? 20,
    after: query.cursor === undefined ? undefined : afterOf(query.cursor, sort),
  }
}

/** A cursor belongs to its sort, and holds that sort's kind of value. */
function afterOf(cursor: string, sort: Sort): Keyset {
  const kind = sort.endsWith('title') ? 'text' : sort === 'relevance' ? 'number' : 'integer'
  const [cursorSort, key, id] = placeOf(cursor, 'text', kind, 'text')
  if (cursorSort !== sort) throw badParameter('cursor', 'is one of another sort')
  // What is no real would be an error of the cast.
  return [typeof key === 'number' && sort === 'relevance' ? Math.fround(key) : key, id]
}

async function listForStaff(db: Reader, search: ProductSearch) {
  const { found, facets } = await searchProducts(db, search)
  const page = found.slice(0, search.limit)
  const views = await readProductViews(
    db,
    page.map(({ id }) => id),
    search.currency,
    true,
  )
  const byId = new Map(views.map(({ view }) => [view.id, view]))
  const last = found.length > search.limit ? page.at(-1) : undefined
  return {
    data: page.flatMap(({ id }) => byId.get(id) ?? []),
    nextCursor: last ? cursorAfter([search.sort, last.key, last.id]) : null,
    facets,
  }
}
