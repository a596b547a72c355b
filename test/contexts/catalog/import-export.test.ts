import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeExport } from '#contexts/catalog/infrastructure/export-csv.ts'
import { systemActor } from '#platform/db/system.ts'
import { csv, importing } from './importing.ts'

type Shop = Awaited<ReturnType<typeof importing>>

const exported = async (shop: Shop): Promise<string> => {
  const parts: string[] = []
  for await (const part of makeExport(shop.db)('USD')) parts.push(part)
  return parts.join('')
}

/** Runs with two empty shops, and closes them. */
async function inTwoShops(run: (one: Shop, other: Shop) => Promise<void>): Promise<void> {
  const shops = [await importing(), await importing()] as const
  try {
    await run(...shops)
  } finally {
    for (const shop of shops) await shop.close()
  }
}

test('the sample catalogue is taken whole, and its export makes the same catalogue in another shop', () =>
  inTwoShops(async (one, other) => {
    const sample = join(import.meta.dirname, '../../../catalogue/sample.csv')
    const source = { name: 'sample.csv', bytes: () => createReadStream(sample) }
    const command = { actor: systemActor, requestId: 'test-import' }
    const options = {
      currency: 'USD',
      publish: false,
      existing: 'update',
      archiveMissing: false,
      stock: false,
    } as const
    const outcome = await one.run(command, { source, options })
    expect(outcome).toMatchObject({
      status: 'finished',
      report: {
        products: { created: { count: 68 }, skipped: { count: 0 } },
        variants: { created: 171, skipped: 0 },
        skipped: { count: 0 },
        warnings: { count: 0 },
        droppedHtml: {},
      },
    })
    const text = await exported(one)
    await other.report(text)
    expect(await exported(other)).toBe(text)
    const back = await one.report(text)
    expect(back.products).toMatchObject({ unchanged: { count: 68 }, updated: { count: 0 }, created: { count: 0 } })
  }))

test('whatever the text in it, an export makes the same catalogue in another shop', () =>
  inTwoShops(async (one, other) => {
    const piece = fc.constantFrom(
      "'",
      '=',
      '+',
      '-',
      '@',
      '0',
      '42',
      'é',
      '"',
      ',',
      '\n',
      '\r\n',
      ' ',
      '<b>',
      '&',
      'x',
      '💡',
    )
    const text = fc.string({ unit: piece, maxLength: 8 })
    const amount = fc.integer({ min: 0, max: 99_999 }).map((minor) => (minor / 100).toFixed(2))
    const row = fc.record({
      Title: text.map((value) => `${value}T`),
      Description: text,
      Vendor: text,
      Type: text,
      Tags: text,
      Status: fc.constantFrom('active', 'draft', 'archived'),
      'Option1 Name': text.map((value) => `${value}N`),
      'Option1 Value': text.map((value) => `${value}V`),
      SKU: text,
      Barcode: text,
      Price: amount,
      'Compare-at price': fc.oneof(fc.constant(''), amount),
      'Price / EUR': fc.oneof(fc.constant(''), amount),
      'Inventory tracker': fc.constantFrom('', 'shopify'),
      'Inventory quantity': fc.integer({ min: -5, max: 50 }).map(String),
      'Continue selling when out of stock': fc.constantFrom('', 'deny', 'continue'),
      'Weight value (grams)': fc.constantFrom('', '0', '250'),
      'Product image URL': fc.constantFrom('', 'https://images.example/a.png'),
      'Image alt text': text,
      'Variant image URL': fc.constantFrom('', 'https://images.example/a.png', 'https://images.example/b.png'),
      'SEO title': text,
      'Google Shopping / Condition': text,
      'Cost per item': text,
    })
    let made = 0
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 4 }), async (rows) => {
        made += 1
        const file = csv(...rows.map((cells, index) => ({ 'URL handle': `p-${made}-${index}`, ...cells })))
        const report = await one.report(file)
        expect(report.products.created.count).toBe(rows.length)
        const text = await exported(one)
        await other.report(text)
        expect(await exported(other)).toBe(text)
      }),
      { numRuns: 15 },
    )
  }))
