/** A file that can be read from its start as often as needed. */
export type Source = { readonly name: string; readonly bytes: () => AsyncIterable<Uint8Array> }

/** One row of a file, as a spreadsheet counts them: the header is row 1. */
export type Row = { readonly number: number; readonly cells: readonly string[] }

/** What is wrong with a file as a whole: rows and columns count from 1, the header is row 1. */
export type Damage = { readonly row: number; readonly column?: number; readonly detail: string }

/** Refuses a file: nothing of it may be applied. */
export class DamagedFile extends Error {
  readonly damage: Damage

  constructor(damage: Damage) {
    const place = damage.column === undefined ? `Row ${damage.row}` : `Row ${damage.row}, column ${damage.column}`
    super(`${place}: ${damage.detail}`)
    this.name = 'DamagedFile'
    this.damage = damage
  }
}
