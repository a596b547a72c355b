import type { FileImage, Note } from './file-product.ts'
import { readWhole } from './shopify-cells.ts'
import type { RowReader } from './shopify-row.ts'

const LONGEST_URL = 2_048

/** The images in order, each once; absent where the file has no such column. */
export function readImages(readers: readonly RowReader[]): { images: FileImage[]; warnings: Note[] } | undefined {
  const warnings: Note[] = []
  const byUrl = new Map<string, FileImage & { position: number }>()
  for (const reader of readers) {
    const url = reader.read('imageUrl', (cell) => cell.trim())
    if (url === undefined) return undefined
    if (url === '' || byUrl.has(url)) continue
    if (!isWebAddress(url)) {
      warnings.push({ code: 'bad-image', row: reader.row, detail: `“${url.slice(0, 80)}” is not a web address` })
      continue
    }
    const position = reader.read('imagePosition', (cell) => readWhole(cell, 0, 1_000_000)) ?? Number.MAX_SAFE_INTEGER
    byUrl.set(url, { url, alt: reader.text('imageAlt', 1_000) ?? '', position })
  }
  const images = [...byUrl.values()].sort((a, b) => a.position - b.position).map(({ url, alt }) => ({ url, alt }))
  return { images, warnings }
}

/** Whether this is an address that an image can have. */
export const isWebAddress = (url: string): boolean =>
  url.length <= LONGEST_URL && /^https?:\/\/[^\s"<>\\]+$/i.test(url) && URL.canParse(url)
