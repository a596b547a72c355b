/** Where something goes, or who pays. Lines are as people write them; only the country is a code (ISO 3166-1 alpha-2). */
export type Address = {
  readonly name: string
  readonly company?: string
  readonly line1: string
  readonly line2?: string
  readonly city: string
  readonly region?: string
  readonly postalCode: string
  readonly countryCode: string
  readonly phone?: string
}
