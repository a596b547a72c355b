import { sql } from 'kysely'
import type { Currency } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import { MAIN_LOCATION } from '../domain/stock.ts'
import type { ProductView } from './schemas.ts'

type VariantView = ProductView['variants'][number]
type Row = Omit<ProductView, 'options' | 'createdAt' | 'updatedAt'> & {
  readonly version: number
  readonly optionNames: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** A product as it is shown, and the version that If-Match compares. */
export type ShownProduct = { readonly view: ProductView; readonly version: number }

/**
 * Reads products as they are shown, by id or handle, in one statement. `everything` includes what is not on sale: drafts,
 * archived products and archived variants.
 */
export async function readProductViews(
  reader: Reader,
  idsOrHandles: readonly string[],
  currency: Currency,
  everything: boolean,
): Promise<ShownProduct[]> {
  const { rows } = await sql<Row>`
    select p.id, p.handle, p.title, p.description, p.description_html as "descriptionHtml", p.vendor, p.category, p.tags,
      p.status, p.options as "optionNames", p.metadata, p.version, p.created_at as "createdAt", p.updated_at as "updatedAt",
      coalesce((select json_agg(json_build_object('id', i.id, 'url', i.url, 'alt', i.alt) order by i.position)
        from catalog.images i where i.product_id = p.id), '[]') as images,
      coalesce((select json_agg(json_build_object('id', v.id, 'sku', v.sku, 'title', v.title, 'status', v.status,
          'price', case when c.amount_minor is not null
            then json_build_object('amountMinor', c.amount_minor, 'currency', c.currency) end,
          'compareAtPrice', case when c.compare_at_minor is not null
            then json_build_object('amountMinor', c.compare_at_minor, 'currency', c.currency) end,
          'tracked', s.tracked, 'backOrder', s.back_order,
          'available', case when s.tracked then greatest(0, s.on_hand - s.held - s.committed) end,
          'taxable', v.taxable, 'requiresShipping', v.requires_shipping, 'barcode', v.barcode,
          'weightGrams', v.weight_grams, 'options', v.options, 'image', i.url, 'metadata', v.metadata) order by v.position)
        from catalog.variants v
        join catalog.stock s on s.variant_id = v.id and s.location = ${MAIN_LOCATION}
        left join catalog.prices c on c.variant_id = v.id and c.currency = ${currency}
        left join catalog.images i on i.id = v.image_id
        where v.product_id = p.id and (v.status = 'active' or ${everything})), '[]') as variants
    from catalog.products p
    where (p.id = any(${idsOrHandles}::text[]) or p.handle = any(${idsOrHandles}::text[]))
      and (p.status = 'active' or ${everything})`.execute(reader)
  return rows.map(shown)
}

const shown = ({ version, optionNames, createdAt, updatedAt, ...rest }: Row): ShownProduct => ({
  version,
  view: {
    ...rest,
    options: optionNames.map((name) => ({ name, values: valuesOf(name, rest.variants) })),
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  },
})

const valuesOf = (name: string, variants: readonly VariantView[]): string[] => [
  ...new Set(
    variants.filter((variant) => variant.status === 'active').flatMap((variant) => variant.options[name] ?? []),
  ),
]

/** The categories of products on sale, with how many each has. */
export async function readCategories(reader: Reader): Promise<{ category: string; products: number }[]> {
  const { rows } = await sql<{ category: string; products: number }>`
    select category, count(*) as products from catalog.products
    where status = 'active' and category <> '' group by category order by category`.execute(reader)
  return rows
}

/** How many products are on sale, and the newest of them; undefined when there is none. */
export async function readFirstProduct(
  reader: Reader,
): Promise<{ count: number; handle: string; title: string } | undefined> {
  const { rows } = await sql<{ count: number; handle: string; title: string }>`
    select (select count(*) from catalog.products where status = 'active') as count, handle, title
    from catalog.products where status = 'active' order by created_at desc, id desc limit 1`.execute(reader)
  return rows[0]
}
