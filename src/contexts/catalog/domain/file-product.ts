import type { Currency } from '#kernel/money.ts'

/** `compareAtMinor` is null unless it is a reduction, and absent where the file has no such column. */
export type FilePrice = {
  readonly currency: Currency
  readonly amountMinor: number
  readonly compareAtMinor?: number | null
}

/**
 * What a file says of a variant. A field that is absent has no column and keeps what the catalogue has; null and ''
 * clear it.
 */
export type FileVariant = {
  readonly row: number
  readonly optionValues: readonly string[]
  readonly sku?: string | null
  readonly barcode?: string | null
  readonly weightGrams?: number | null
  readonly tracked?: boolean
  readonly backOrder?: boolean
  /** As in the file: below 0 where the shop had sold more than it had. Null where blank or not tracked. */
  readonly quantity?: number | null
  /** Empty where the file has no prices. */
  readonly prices: readonly FilePrice[]
  readonly taxable?: boolean
  readonly requiresShipping?: boolean
  readonly imageUrl?: string | null
  readonly attributes: Readonly<Record<string, string>>
}

export type FileImage = { readonly url: string; readonly alt: string }

/** What a file says of a product; absent, null and '' as in a variant. */
export type FileProduct = {
  readonly row: number
  readonly handle: string
  readonly title?: string
  readonly description?: string
  readonly vendor?: string
  readonly category?: string
  readonly tags?: readonly string[]
  readonly status?: 'draft' | 'active' | 'archived'
  readonly attributes: Readonly<Record<string, string>>
  /** Absent where the file has no option columns; empty where the product has no options. */
  readonly optionNames?: readonly string[]
  readonly variants: readonly FileVariant[]
  /** The option values of all its variants, of skipped ones too: what else the catalogue has is missing. */
  readonly inFile: readonly (readonly string[])[]
  readonly images?: readonly FileImage[]
}

export type NoteCode =
  | 'bad-cell'
  | 'bad-image'
  | 'empty-row'
  | 'existing'
  | 'gift-card'
  | 'negative-quantity'
  | 'no-price'
  | 'no-title'
  | 'price-zero'
  | 'same-options'
  | 'too-many'
  | 'weight-rounded'

/** Something that was not taken, or taken with a doubt: where, and why. `code` groups them in a report. */
export type Note = { readonly code: NoteCode; readonly row: number; readonly column?: string; readonly detail: string }

/** The identity of a variant within its product. */
export const optionKeyOf = (optionValues: readonly string[]): string => JSON.stringify(optionValues)

type Present<Fields> = { [Name in keyof Fields as undefined extends Fields[Name] ? never : Name]: Fields[Name] } & {
  [Name in keyof Fields as undefined extends Fields[Name] ? Name : never]?: Exclude<Fields[Name], undefined>
}

/** Leaves out what is undefined, which stands for a column that the file does not have. */
export const present = <Fields extends object>(fields: Fields): Present<Fields> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>
