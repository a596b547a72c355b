const PRODUCTS = 1_000
const ADJECTIVES = ['Quiet', 'Amber', 'Northern', 'Folded', 'Plain', 'Copper', 'Woven', 'Tall', 'Soft', 'Early']
const NOUNS = ['Mug', 'Lamp', 'Blanket', 'Kettle', 'Notebook', 'Chair', 'Bowl', 'Shirt', 'Basket', 'Clock']
const COLUMNS =
  'Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,Variant Requires Shipping,Variant Taxable'

/** A Shopify export of 1,000 invented products, two sizes each, a million of every one in stock. */
export function catalogueCsv(): string {
  const rows = Array.from({ length: PRODUCTS }, (_, i) => {
    const noun = NOUNS[i % 10]
    const title = `${ADJECTIVES[Math.floor(i / 10) % 10]} ${noun} ${i}`
    const price = (5 + (i % 95)).toFixed(2)
    const variant = (size: string) => `${size},SKU-${i}-${size},400,shopify,1000000,deny,${price},true,true`
    return [
      `thing-${i},${title},<p>A ${noun} for every day. Number ${i} of a thousand.</p>,Vendor ${i % 20},${noun},"tag-${i % 30}, things",true,Size,${variant('S')}`,
      `thing-${i},,,,,,,,${variant('L')}`,
    ].join('\n')
  })
  return `${[COLUMNS, ...rows].join('\n')}\n`
}

/** Searches of which no two of 100,000 are the same: two words that ten products have, and a least price. */
export function searchPath(i: number): string {
  const words = `${ADJECTIVES[Math.floor(i / 10) % 10]}+${NOUNS[i % 10]}`.toLowerCase()
  return `/v1/products?q=${words}&price%5Bgte%5D=${500 + (Math.floor(i / 100) % 1_000)}`
}
