import { createHash } from 'node:crypto'
import type { Currency } from '#kernel/money.ts'
import { cursorAfter } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import { batched, makeCache } from './caches.ts'
import { type ProductSearch, searchProducts } from './product-search.ts'
import { readProductViews } from './product-views.ts'

const PRODUCT_MS = 2_000
const LIST_MS = 1_000
const MOST_BYTES = 16 * 1024 * 1024

/** Bytes that are ready to be sent, and the tag that changes with them. */
export type Served = { readonly bytes: Buffer; readonly etag: string }

export type Shelf = {
  /** A product on sale by id or handle, at most 2 s old; null when there is none. */
  product(idOrHandle: string, currency: Currency): Promise<Served | null>
  /** What a list at this address answers, at most 1 s after it was put together from products at most 2 s old. */
  list(url: string, search: ProductSearch): Promise<Served>
  /** Forgets all, in this process, at once. */
  forget(): void
}

/** Makes the shelf that everybody looks at: products and lists as serialised bytes. Lists are joined from products. */
export function makeShelf(db: Reader): Shelf {
  const sizeOf = ({ served }: { served: Served | null }) => (served?.bytes.length ?? 0) + 200
  const products = makeCache<{ served: Served | null }>({ ttlMs: PRODUCT_MS, maxSize: MOST_BYTES, sizeOf })
  const lists = makeCache<Served>({ ttlMs: LIST_MS, maxSize: MOST_BYTES, sizeOf: (list) => list.bytes.length + 200 })
  const load = batched((keys) => loadProducts(db, keys))

  const product = async (idOrHandle: string, currency: Currency): Promise<Served | null> => {
    const key = `${currency} ${idOrHandle}`
    return (await products.get(key, () => load(key).then((served) => ({ served })))).served
  }
  return {
    product,
    list: async (url, search) =>
      lists.get(url, async () => {
        const { found, facets } = await searchProducts(db, search)
        const page = found.slice(0, search.limit)
        const shown = await Promise.all(page.map(({ id }) => product(id, search.currency)))
        const last = found.length > search.limit ? page.at(-1) : undefined
        const nextCursor = last ? cursorAfter([search.sort, last.key, last.id]) : null
        return served([
          Buffer.from('{"data":['),
          ...joined(shown.flatMap((one) => one?.bytes ?? [])),
          Buffer.from(`],"nextCursor":${JSON.stringify(nextCursor)},"facets":${JSON.stringify(facets)}}`),
        ])
      }),
    forget: () => {
      products.forget()
      lists.forget()
    },
  }
}

/** Loads products by `currency idOrHandle`, with one statement for each currency. */
async function loadProducts(db: Reader, keys: readonly string[]): Promise<Map<string, Served>> {
  const loaded = new Map<string, Served>()
  for (const [currency = '', ofCurrency] of Map.groupBy(keys, (key) => key.split(' ', 1)[0])) {
    const views = await readProductViews(
      db,
      ofCurrency.map((key) => key.slice(currency.length + 1)),
      currency,
      false,
    )
    for (const { view, version } of views) {
      const one = served([Buffer.from(JSON.stringify(view))], version)
      loaded.set(`${currency} ${view.id}`, one).set(`${currency} ${view.handle}`, one)
    }
  }
  return loaded
}

function served(parts: readonly Buffer[], version?: number): Served {
  const bytes = Buffer.concat(parts)
  const hash = createHash('sha1').update(bytes).digest('base64url').slice(0, 12)
  return { bytes, etag: version === undefined ? `"${hash}"` : `"${version}-${hash}"` }
}

const COMMA = Buffer.from(',')
const joined = (items: readonly Buffer[]): Buffer[] =>
  items.flatMap((item, index) => (index === 0 ? [item] : [COMMA, item]))
