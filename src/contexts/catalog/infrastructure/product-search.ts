import { type RawBuilder, sql } from 'kysely'
import type { ProductId } from '#kernel/ids.ts'
import { type Currency, digitsOf } from '#kernel/money.ts'
import type { Keyset } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { ProductStatus } from '../domain/product.ts'
import { MAIN_LOCATION } from '../domain/stock.ts'
import type { Facets, Sort } from './schemas.ts'

export type ProductSearch = {
  readonly words: string | undefined
  readonly category: string | undefined
  readonly tag: string | undefined
  readonly vendor: string | undefined
  /** As `name=value`, all of them. */
  readonly options: readonly string[]
  readonly currency: Currency
  readonly fromMinor: number | undefined
  readonly toMinor: number | undefined
  readonly available: boolean | undefined
  readonly status: ProductStatus
  readonly sort: Sort
  readonly limit: number
  readonly after: Keyset | undefined
}

export type Found = { readonly id: ProductId; readonly key: string | number }
type Row = {
  readonly found: readonly Found[]
  readonly facets: (Omit<Facets, 'option'> & { option: FacetCount[] }) | null
}
type FacetCount = { readonly value: string; readonly count: number }

type SortKey = { readonly key: (rank: RawBuilder<unknown>) => RawBuilder<unknown>; readonly type: string }
const title: SortKey = { key: () => sql`lower(p.title) collate "C"`, type: 'text' }
const createdAt: SortKey = { key: () => sql`(extract(epoch from p.created_at) * 1000)::bigint`, type: 'bigint' }

/** What each sort compares; every value fits a JSON cursor exactly. A product without a price comes last. */
const SORT_KEYS: Record<Sort, SortKey> = {
  relevance: { key: (rank) => rank, type: 'real' },
  price: { key: () => sql`coalesce(lowest.amount_minor, 9007199254740991)`, type: 'bigint' },
  '-price': { key: () => sql`coalesce(lowest.amount_minor, -1)`, type: 'bigint' },
  title,
  '-title': title,
  createdAt,
  '-createdAt': createdAt,
}
const isDescending = (sort: Sort): boolean => sort === 'relevance' || sort.startsWith('-')

/**
 * Finds one more than `limit` products after the keyset, and on the first page the facets of all that match, in one
 * statement. Words are searched in full text; where that finds nothing, in words that look alike.
 */
export async function searchProducts(
  reader: Reader,
  search: ProductSearch,
): Promise<{ found: readonly Found[]; facets: Facets | null }> {
  const { type } = SORT_KEYS[search.sort]
  const descending = isDescending(search.sort)
  const order = sql.raw(descending ? 'desc' : 'asc')
  const after = search.after
    ? sql`where (key, id) ${sql.raw(descending ? '<' : '>')} (${search.after[0]}::${sql.raw(type)}, ${search.after[1]}::text)`
    : sql``
  const { rows } = await sql<Row>`
    with ${matched(search)},
    page as (select id, key from matched ${after} order by key ${order}, id ${order} limit ${search.limit + 1})
    select coalesce((select json_agg(json_build_object('id', id, 'key', key) order by key ${order}, id ${order}) from page), '[]') as found,
      ${search.after ? sql`null` : facets(search.currency)} as facets`.execute(reader)
  const row = rows[0]!
  return { found: row.found, facets: row.facets && { ...row.facets, option: row.facets.option.map(named) } }
}

/** All products that match: by their words exactly, or else, when there is none, those that look alike. */
function matched(search: ProductSearch): RawBuilder<unknown> {
  const { key } = SORT_KEYS[search.sort]
  const select = (rank: RawBuilder<unknown>, from: RawBuilder<unknown>) => sql`
    select p.id, p.category, p.vendor, p.tags, p.option_pairs, lowest.amount_minor, ${key(rank)} as key
    from ${from}
    left join catalog.lowest_prices lowest on lowest.product_id = p.id and lowest.currency = ${search.currency}
    where p.status = ${search.status} ${isNarrowed(search) ? filters(search) : sql``}`
  if (search.words === undefined) return sql`matched as materialized (${select(sql`null`, sql`catalog.products p`)})`
  const query = sql`websearch_to_tsquery('english', ${search.words}) as query join catalog.products p on p.search @@ query`
  const lookalikes = sql`catalog.lookalikes(lower(${search.words})) l join catalog.products p using (id)`
  return sql`
    exact as materialized (${select(sql`ts_rank(p.search, query)`, query)}),
    matched as materialized (
      select id, category, vendor, tags, option_pairs, amount_minor, key from exact
      union all ${select(sql`likeness`, lookalikes)} and not exists (select from exact))`
}

/** Two forms of the statement, without filters and with them all, and not one for each combination: see MAX_NAMES of the pool. */
const isNarrowed = ({ category, tag, vendor, options, fromMinor, toMinor, available }: ProductSearch): boolean =>
  options.length > 0 || [category, tag, vendor, fromMinor, toMinor, available].some((filter) => filter !== undefined)

const filters = (search: ProductSearch) => sql`
  and (${search.category ?? null}::text is null or lower(p.category) = lower(${search.category ?? null}))
  and (${search.vendor ?? null}::text is null or p.vendor = ${search.vendor ?? null})
  and (${search.tag ?? null}::text is null or p.tags @> array[${search.tag ?? null}]::text[])
  and (${search.options.length} = 0 or p.option_pairs @> ${search.options}::text[])
  and (${search.fromMinor ?? null}::bigint is null or lowest.amount_minor >= ${search.fromMinor ?? null})
  and (${search.toMinor ?? null}::bigint is null or lowest.amount_minor <= ${search.toMinor ?? null})
  and (${search.available ?? null}::boolean is null or ${search.available ?? null} = exists (
    select from catalog.variants v join catalog.stock s on s.variant_id = v.id and s.location = ${MAIN_LOCATION}
    where v.product_id = p.id and v.status = 'active'
      and (not s.tracked or s.back_order or s.on_hand - s.held - s.committed > 0)))`

/** Where the price ranges of the facets begin, in whole units of the currency. */
const PRICE_STEPS = [0, 10, 25, 50, 100, 250, 500, 1000]

function facets(currency: Currency) {
  const steps = PRICE_STEPS.map((step) => step * 10 ** digitsOf(currency))
  const counts = (value: RawBuilder<unknown>) => sql`
    coalesce((select json_agg(json_build_object('value', value, 'count', count)) from (
      select value, count(*) as count from (select ${value} as value from matched) as v
      where value <> '' group by value order by count(*) desc, value limit 50) as c), '[]')`
  return sql`json_build_object(
    'category', ${counts(sql`category`)}, 'vendor', ${counts(sql`vendor`)},
    'tag', ${counts(sql`unnest(tags)`)}, 'option', ${counts(sql`unnest(option_pairs)`)},
    'price', coalesce((select json_agg(json_build_object('gte', (${steps}::bigint[])[step],
        'lte', (${steps}::bigint[])[step + 1] - 1, 'count', count) order by step)
      from (select width_bucket(amount_minor, ${steps}::bigint[]) as step, count(*) as count
        from matched where amount_minor is not null group by 1) as c), '[]'))`
}

const named = ({ value, count }: FacetCount) => {
  const [name = '', ...rest] = value.split('=')
  return { name, value: rest.join('='), count }
}
