import type { Source } from '#kernel/file.ts'

/** One line of a file: the value that it holds, or what is wrong with it. Lines count from 1. */
export type Line =
  | { readonly number: number; readonly value: unknown }
  | { readonly number: number; readonly problem: string }

const MAX_LINE_BYTES = 1_000_000
const LINE_FEED = 0x0a

/** Reads a file of one JSON value on each line, in flat memory; blank lines are left out. A bad line spoils no other one. */
export async function* readNdjson(source: Source): AsyncGenerator<Line> {
  let rest: Uint8Array[] = []
  let restBytes = 0
  let number = 0
  const keep = (bytes: Uint8Array) => {
    restBytes += bytes.length
    // Of a line that is too long only its length is kept.
    if (restBytes <= MAX_LINE_BYTES) rest.push(bytes)
  }
  const take = (): Line | undefined => {
    number += 1
    const line = readLine(rest, restBytes)
    rest = []
    restBytes = 0
    return line && { number, ...line }
  }
  for await (const chunk of source.bytes()) {
    let from = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      keep(chunk.subarray(from, end))
      from = end + 1
      const line = take()
      if (line) yield line
    }
    keep(chunk.subarray(from))
  }
  const line = restBytes > 0 && take()
  if (line) yield line
}

const decoder = new TextDecoder('utf-8', { fatal: true })

function readLine(pieces: readonly Uint8Array[], bytes: number) {
  if (bytes > MAX_LINE_BYTES) return { problem: `is longer than ${MAX_LINE_BYTES} bytes` }
  let text: string
  try {
    text = decoder.decode(Buffer.concat(pieces))
  } catch {
    return { problem: 'has a byte that is not UTF-8' }
  }
  if (text.trim() === '') return undefined
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return { problem: 'is not JSON' }
  }
}
