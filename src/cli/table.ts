import { stripVTControlCharacters } from 'node:util'

/** Lays rows out in aligned columns; colours do not count as width, numbers are set to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map(String))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? ''))))
  const isNumeric = widths.map((_, column) => rows.slice(1).every((row) => typeof row[column] === 'number'))
  return cells
    .map((row) =>
      row
        .map((cell, column) => {
          const blank = ' '.repeat((widths[column] ?? 0) - widthOf(cell))
          return isNumeric[column] ? blank + cell : cell + blank
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const widthOf = (text: string): number => [...stripVTControlCharacters(text)].length
