import { sql } from 'kysely'
import type { ProductId } from '#kernel/ids.ts'
import { isUniqueViolation } from '#platform/db/errors.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import { refuse as refuseAs } from '#platform/problems.ts'
import { listingOf } from '../domain/listing.ts'
import { refuse } from '../domain/problems.ts'
import { type Image, optionKey, type Product, type Variant, variantTitle } from '../domain/product.ts'

type ProductRow = Omit<Product, 'description'> & { given: string; html: string; text: string }

/** Which products: by id or by handle. */
export type Which = { readonly ids: readonly ProductId[] } | { readonly handles: readonly string[] }

/** Locks one product of this version and reads it. Refuses catalog.product-not-found and platform.stale. */
export async function lockProduct(work: Work, id: ProductId, version: number): Promise<Product> {
  const [product] = await lockProducts(work, { ids: [id] })
  if (!product) throw refuse('catalog.product-not-found')
  if (product.version !== version) throw refuseAs('platform.stale')
  return product
}

/** Locks products in the order of their ids, so that no two writers wait for each other, and reads them as they then are. */
export async function lockProducts(work: Work, which: Which): Promise<Product[]> {
  const { rows } = await sql<{ id: ProductId }>`
    select id from catalog.products
    where ${'ids' in which ? sql`id = any(${which.ids}::text[])` : sql`handle = any(${which.handles}::text[])`}
    order by id for update`.execute(work.tx)
  // A second statement: one that waited for a lock would see the new row beside the old variants.
  return rows.length === 0 ? [] : readProducts(work.tx, { ids: rows.map((row) => row.id) })
}

/** Reads whole products, by id order: what changes and exports start from. */
export async function readProducts(reader: Reader, which: Which): Promise<Product[]> {
  const { rows } = await sql<ProductRow>`
    select p.id, p.handle, p.title, p.description_given as given, p.description_html as html, p.description as text,
      p.vendor, p.category, p.tags, p.status, p.options, p.attributes, p.metadata, p.version,
      p.created_at as "createdAt", p.updated_at as "updatedAt", p.published_at as "publishedAt",
      coalesce((select jsonb_agg(jsonb_build_object('id', i.id, 'url', i.url, 'alt', i.alt) order by i.position)
        from catalog.images i where i.product_id = p.id), '[]') as images,
      coalesce((select jsonb_agg(jsonb_build_object('id', v.id, 'sku', v.sku, 'options', v.options, 'barcode', v.barcode,
          'weightGrams', v.weight_grams, 'taxable', v.taxable, 'requiresShipping', v.requires_shipping, 'imageId', v.image_id,
          'attributes', v.attributes, 'metadata', v.metadata, 'status', v.status,
          'prices', coalesce((select jsonb_agg(jsonb_build_object('currency', c.currency, 'amountMinor', c.amount_minor,
              'compareAtMinor', c.compare_at_minor) order by c.currency)
            from catalog.prices c where c.variant_id = v.id), '[]')) order by v.position)
        from catalog.variants v where v.product_id = p.id), '[]') as variants
    from catalog.products p
    where ${'ids' in which ? sql`p.id = any(${which.ids}::text[])` : sql`p.handle = any(${which.handles}::text[])`}
    order by p.id`.execute(reader)
  return rows.map(({ given, html, text, ...rest }) => ({ ...rest, description: { given, html, text } }))
}

/**
 * Saves whole products, new or locked, in one statement: what they no longer have of prices and images is deleted,
 * variants stay. An image keeps its id as long as its URL. Refuses catalog.handle-taken.
 */
export async function saveProducts(work: Work, products: readonly Product[]): Promise<void> {
  const listed = products.map((product) => ({ product, listing: listingOf(product) }))
  try {
    await sql`with ${sql.join([...productParts(listed), ...imageParts(products), ...variantParts(products)])} select 1`.execute(
      work.tx,
    )
  } catch (error) {
    if (isUniqueViolation(error, 'products_handle_key')) throw refuse('catalog.handle-taken')
    throw error
  }
}

type Listed = { readonly product: Product; readonly listing: ReturnType<typeof listingOf> }

const idsOf = (things: readonly { readonly id: string }[]) => sql`any(${things.map((thing) => thing.id)}::text[])`
const recordset = (rows: readonly object[]) => sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)`

const productParts = (listed: readonly Listed[]) => [
  sql`saved_products as (
    insert into catalog.products (id, handle, title, description, description_html, description_given, vendor, category,
      tags, status, options, attributes, metadata, version, created_at, updated_at, published_at, words, option_pairs)
    select id, handle, title, description, description_html, description_given, vendor, category,
      tags, status, options, attributes, metadata, version, created_at, updated_at, published_at, words, option_pairs
    from ${recordset(listed.map(productRow))} as given (id text, handle text, title text, description text,
      description_html text, description_given text, vendor text, category text, tags text[], status text, options text[],
      attributes jsonb, metadata jsonb, version int, created_at timestamptz, updated_at timestamptz,
      published_at timestamptz, words text, option_pairs text[])
    on conflict (id) do update set handle = excluded.handle, title = excluded.title, description = excluded.description,
      description_html = excluded.description_html, description_given = excluded.description_given,
      vendor = excluded.vendor, category = excluded.category, tags = excluded.tags, status = excluded.status,
      options = excluded.options, attributes = excluded.attributes, metadata = excluded.metadata,
      version = excluded.version, updated_at = excluded.updated_at, published_at = excluded.published_at,
      words = excluded.words, option_pairs = excluded.option_pairs)`,
  sql`lowest as (
    select product_id, currency, amount_minor from ${recordset(listed.flatMap(lowestRows))}
      as given (product_id text, currency text, amount_minor bigint))`,
  sql`saved_lowest as (
    insert into catalog.lowest_prices (product_id, currency, amount_minor)
    select product_id, currency, amount_minor from lowest
    on conflict (product_id, currency) do update set amount_minor = excluded.amount_minor)`,
  sql`deleted_lowest as (
    delete from catalog.lowest_prices where product_id = ${idsOf(listed.map(({ product }) => product))}
      and (product_id, currency) not in (select product_id, currency from lowest))`,
]

const imageParts = (products: readonly Product[]) => [
  sql`images as (
    select id, product_id, position, url, alt from ${recordset(products.flatMap(imageRows))}
      as given (id text, product_id text, position int, url text, alt text))`,
  sql`saved_images as (
    insert into catalog.images (id, product_id, position, url, alt) select id, product_id, position, url, alt from images
    on conflict (id) do update set position = excluded.position, url = excluded.url, alt = excluded.alt)`,
  sql`deleted_images as (
    delete from catalog.images where product_id = ${idsOf(products)} and id not in (select id from images))`,
]

const variantParts = (products: readonly Product[]) => [
  sql`saved_variants as (
    insert into catalog.variants (id, product_id, position, sku, title, options, option_key, barcode, weight_grams,
      taxable, requires_shipping, image_id, attributes, metadata, status)
    select id, product_id, position, sku, title, options, option_key, barcode, weight_grams,
      taxable, requires_shipping, image_id, attributes, metadata, status
    from ${recordset(products.flatMap(variantRows))} as given (id text, product_id text, position int, sku text, title text,
      options jsonb, option_key text, barcode text, weight_grams int, taxable boolean, requires_shipping boolean,
      image_id text, attributes jsonb, metadata jsonb, status text)
    on conflict (id) do update set position = excluded.position, sku = excluded.sku, title = excluded.title,
      options = excluded.options, option_key = excluded.option_key, barcode = excluded.barcode,
      weight_grams = excluded.weight_grams, taxable = excluded.taxable, requires_shipping = excluded.requires_shipping,
      image_id = excluded.image_id, attributes = excluded.attributes, metadata = excluded.metadata,
      status = excluded.status)`,
  sql`prices as (
    select variant_id, currency, amount_minor, compare_at_minor
    from ${recordset(products.flatMap((product) => product.variants.flatMap(priceRows)))}
      as given (variant_id text, currency text, amount_minor bigint, compare_at_minor bigint))`,
  sql`saved_prices as (
    insert into catalog.prices (variant_id, currency, amount_minor, compare_at_minor)
    select variant_id, currency, amount_minor, compare_at_minor from prices
    on conflict (variant_id, currency) do update
      set amount_minor = excluded.amount_minor, compare_at_minor = excluded.compare_at_minor)`,
  sql`deleted_prices as (
    delete from catalog.prices where variant_id = ${idsOf(products.flatMap((product) => product.variants))}
      and (variant_id, currency) not in (select variant_id, currency from prices))`,
]

const productRow = ({ product, listing }: Listed) => ({
  ...product,
  variants: undefined,
  images: undefined,
  description: product.description.text,
  description_html: product.description.html,
  description_given: product.description.given,
  created_at: product.createdAt,
  updated_at: product.updatedAt,
  published_at: product.publishedAt,
  words: listing.words,
  option_pairs: listing.optionPairs,
})

const imageRows = (product: Product) =>
  product.images.map((image: Image, position) => ({ ...image, product_id: product.id, position }))

const variantRows = (product: Product) =>
  product.variants.map((variant, position) => ({
    ...variant,
    prices: undefined,
    product_id: product.id,
    position,
    title: variantTitle(product.options, variant.options),
    option_key: optionKey(product.options, variant.options),
    weight_grams: variant.weightGrams,
    requires_shipping: variant.requiresShipping,
    image_id: variant.imageId,
  }))

const priceRows = (variant: Variant) =>
  variant.prices.map(({ currency, amountMinor, compareAtMinor }) => ({
    variant_id: variant.id,
    currency,
    amount_minor: amountMinor,
    compare_at_minor: compareAtMinor,
  }))

const lowestRows = ({ product, listing }: Listed) =>
  listing.lowestPrices.map(({ currency, amountMinor }) => ({
    product_id: product.id,
    currency,
    amount_minor: amountMinor,
  }))
