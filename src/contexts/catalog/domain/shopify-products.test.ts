import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DamagedFile } from '#kernel/file.ts'
import { readText, writeText } from './shopify-cells.ts'
import { readColumns } from './shopify-columns.ts'
import { readProduct } from './shopify-products.ts'

/** Reads one product from rows by column name, the second row of the file first. */
function read(...rows: Record<string, string>[]) {
  const header = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const cells = rows.map((row, index) => ({ number: index + 2, cells: header.map((name) => row[name] ?? '') }))
  return readProduct(readColumns(header), cells, { currency: 'USD', publish: false })
}
const mug = { Handle: 'mug', Title: 'Mug', 'Variant Price': '10.00' }

test('both dialects say the same', () => {
  const older = read({
    ...mug,
    'Body (HTML)': '<p>Warm</p>',
    Published: 'false',
    'Option1 Name': 'Size',
    'Option1 Value': 'S',
    'Variant SKU': 'M1',
    'Variant Grams': '500',
    'Variant Inventory Tracker': 'shopify',
    'Variant Inventory Qty': '3',
    'Variant Inventory Policy': 'continue',
    'Variant Compare At Price': '12.00',
    'Variant Requires Shipping': 'true',
    'Variant Taxable': 'false',
    'Variant Barcode': "'0123",
    'Image Src': 'https://images.example/a.png',
    'Variant Weight Unit': 'kg',
    'SEO Title': 'Buy',
  })
  const today = read({
    'URL handle': 'mug',
    Title: 'Mug',
    Price: '10.00',
    Description: '<p>Warm</p>',
    'Published on online store': 'FALSE',
    'Option1 name': 'Size',
    'Option1 value': 'S',
    SKU: 'M1',
    'Weight value (grams)': '500',
    'Inventory tracker': 'shopify',
    'Inventory quantity': '3',
    'Continue selling when out of stock': 'CONTINUE',
    'Compare-at price': '12.00',
    'Requires shipping': 'TRUE',
    'Charge tax': 'FALSE',
    Barcode: '0123',
    'Product image URL': 'https://images.example/a.png',
    'Weight unit for display': 'kg',
    'SEO title': 'Buy',
  })
  expect(today).toEqual(older)
  expect(today.product).toMatchObject({
    status: 'draft',
    attributes: { 'SEO title': 'Buy' },
    variants: [
      {
        sku: 'M1',
        barcode: '0123',
        backOrder: true,
        quantity: 3,
        taxable: false,
        prices: [{ amountMinor: 1000, compareAtMinor: 1200 }],
      },
    ],
  })
})

test.each([
  [['Handle', 'Variant SKU', 'SKU'], 'Row 1, column 3: “SKU” and “Variant SKU” (column 2) mean the same; keep one.'],
  [['Handle', 'URL handle'], 'Row 1, column 2: “URL handle” and “Handle” (column 1) mean the same; keep one.'],
  [['Handle', 'Notes', 'notes '], 'Row 1, column 3: “notes ” and “Notes” (column 2) mean the same; keep one.'],
  [['Handle', ''], 'Row 1, column 2: This column has no name.'],
  [['Title'], 'Row 1: There is no “Handle” or “URL handle” column, so this is not a Shopify product export.'],
])('the header %j is refused', (header, message) => {
  expect(() => readColumns(header)).toThrow(DamagedFile)
  expect(() => readColumns(header)).toThrow(message)
})

describe('options', () => {
  test.each([
    [[{ 'Option1 Name': 'Title', 'Option1 Value': 'Default Title' }], [], [[]]],
    [[{ 'Option1 Name': 'Title', 'Option1 Value': 'Large' }], ['Title'], [['Large']]],
    [[{ 'Option1 Name': 'Size', 'Option1 Value': 'Default Title' }], [], [[]]],
    [[{ 'Option1 Name': '', 'Option1 Value': 'S' }], ['Option 1'], [['S']]],
    [
      [
        { 'Option1 Name': 'Title', 'Option1 Value': 'Default Title' },
        { 'Option1 Name': '', 'Option1 Value': 'Other' },
      ],
      ['Title'],
      [['Default Title'], ['Other']],
    ],
  ])('%j', (cells, names, values) => {
    const { product } = read(...cells.map((row) => ({ ...mug, ...row })))
    expect(product?.optionNames).toEqual(names)
    expect(product?.variants.map((variant) => variant.optionValues)).toEqual(values)
  })

  test('the same values twice are one variant, and the second row is skipped', () => {
    const size = { ...mug, 'Option1 Name': 'Size', 'Option1 Value': 'S' }
    const { product, skipped } = read(size, size)
    expect(product?.variants).toHaveLength(1)
    expect(skipped).toMatchObject([{ code: 'same-options', row: 3 }])
  })
})

test.each([
  [{ Published: '' }, 'active'],
  [{ Published: 'false' }, 'draft'],
  [{ Published: 'false', Status: 'Active' }, 'active'],
  [{ Published: 'true', Status: 'archived' }, 'archived'],
  [{ Published: 'false', Status: '' }, 'draft'],
  [{}, undefined],
])('%j is %s', (cells, status) => {
  expect(read({ ...mug, ...cells }).product?.status).toBe(status)
})

test.each([
  [{ 'Gift Card': 'true' }, { code: 'gift-card', row: 2, column: 'Gift Card' }],
  [{ Title: '' }, { code: 'no-title', row: 2, column: 'Title' }],
  [{ Published: 'perhaps' }, { code: 'bad-cell', row: 2, column: 'Published' }],
  [{ Handle: 'Not A Handle' }, { code: 'bad-cell', row: 2, column: 'Handle' }],
  [{ Vendor: 'x'.repeat(256) }, { code: 'bad-cell', row: 2, column: 'Vendor' }],
])('a product with %j is skipped', (cells, note) => {
  const reading = read({ ...mug, ...cells })
  expect(reading.product).toBeUndefined()
  expect(reading.skipped).toMatchObject([note])
})

test.each([
  [{ 'Variant Price': '' }, { code: 'no-price', column: 'Variant Price' }],
  [{ 'Variant Price': '1,000.00' }, { code: 'bad-cell', column: 'Variant Price' }],
  [{ 'Variant Price': '-1' }, { code: 'bad-cell', column: 'Variant Price' }],
  [{ 'Variant Price': '9.999' }, { code: 'bad-cell', column: 'Variant Price' }],
  [{ 'Variant Inventory Qty': '1.5' }, { code: 'bad-cell', column: 'Variant Inventory Qty' }],
  [{ 'Variant Inventory Qty': 'many' }, { code: 'bad-cell', column: 'Variant Inventory Qty' }],
  [{ 'Variant Taxable': 'maybe' }, { code: 'bad-cell', column: 'Variant Taxable' }],
])('a variant with %j is skipped alone', (cells, note) => {
  const size = { 'Option1 Name': 'Size', 'Option1 Value': 'S' }
  const { product, skipped } = read({ ...mug, ...size }, { ...mug, ...size, 'Option1 Value': 'M', ...cells })
  expect(product?.variants.map((variant) => variant.row)).toEqual([2])
  expect(product?.inFile).toEqual([['S'], ['M']])
  expect(skipped).toMatchObject([{ ...note, row: 3 }])
})

test.each([
  [{ 'Variant Price': '0.00' }, 'price-zero'],
  [{ 'Variant Inventory Qty': '-2' }, 'negative-quantity'],
  [{ 'Variant Grams': '', 'Image Src': 'javascript:alert(1)' }, 'bad-image'],
  [{ 'Variant Grams': '226.8' }, 'weight-rounded'],
])('a variant with %j is taken with a warning', (cells, code) => {
  const { product, warnings } = read({ ...mug, ...cells })
  expect(product?.variants).toHaveLength(1)
  expect(warnings).toMatchObject([{ code, row: 2 }])
})

test('prices in further currencies have columns of their own', () => {
  const { product } = read({
    ...mug,
    'Price / JPY': '1500',
    'Compare-at price / JPY': '1000',
    'Price / International': '9',
  })
  expect(product?.variants[0]).toMatchObject({
    prices: [
      { currency: 'USD', amountMinor: 1000 },
      { currency: 'JPY', amountMinor: 1500, compareAtMinor: null },
    ],
    attributes: { 'Compare-at price / JPY': '1000' },
  })
  expect(product?.attributes).toEqual({ 'Price / International': '9' })
})

test('images are ordered, each once; rows of nothing are told', () => {
  const image = (url: string, position: string) => ({ Handle: 'mug', 'Image Src': url, 'Image Position': position })
  const { product, warnings } = read(
    { ...mug, ...image('https://images.example/b.png', '2') },
    image('https://images.example/a.png', '1'),
    image('https://images.example/b.png', '3'),
    { Handle: 'mug' },
  )
  expect(product?.images?.map(({ url }) => url.slice(-5))).toEqual(['a.png', 'b.png'])
  expect(warnings).toMatchObject([{ code: 'empty-row', row: 5 }])
})

describe('text in a spreadsheet', () => {
  test.each([
    ["'0309551", '0309551'],
    ["'=1+1", '=1+1'],
    ["'-30°", '-30°'],
    ["'twas", "'twas"],
    ['   ', ''],
    [' kept ', ' kept '],
  ])('%j is read as %j', (cell, text) => {
    expect(readText(cell)).toBe(text)
  })

  test.each([['=HYPERLINK("x")'], ['+1'], ['-1'], ['@x'], ['\tx'], ['0042']])('%j is written with a mark', (text) => {
    expect(writeText(text)).toBe(`'${text}`)
  })

  test('comes back as it was, whatever it is', () => {
    const piece = fc.constantFrom("'", '=', '+', '-', '@', '\t', '\r', '0', '7', 'a', ' ', '"', ',')
    fc.assert(
      fc.property(fc.string({ unit: piece }), (text) => {
        fc.pre(text.trim() !== '')
        expect(readText(writeText(text))).toBe(text)
        expect(writeText(text)).not.toMatch(/^[=+\-@\t\r]/)
      }),
    )
  })
})
