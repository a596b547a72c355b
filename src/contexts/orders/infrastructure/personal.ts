import type { Address } from '#kernel/address.ts'
import type { Encryption } from '#platform/security/encryption.ts'

/** What carts and orders keep of people; the same four columns in both tables, sealed for their row. */
export type Personal = {
  readonly email: string | null
  readonly shippingAddress: Address | null
  readonly billingAddress: Address | null
  readonly note: string | null
}

export type SealedPersonal = {
  readonly email: Buffer | null
  readonly shipping_address: Buffer | null
  readonly billing_address: Buffer | null
  readonly note: Buffer | null
}

export type PersonalSeal = {
  seal(row: string, plain: Personal): SealedPersonal
  open(row: string, sealed: SealedPersonal): Personal
}

/** Seals the personal columns of one table: a value opens only in the row and column it was sealed for. */
export function personalOf(table: 'orders.carts' | 'orders.orders', { seal, open }: Encryption): PersonalSeal {
  const put = (column: string, row: string, plain: string | null) =>
    plain === null ? null : seal(plain, { table, column, row })
  const get = (column: string, row: string, sealed: Buffer | null) =>
    sealed === null ? null : open(sealed, { table, column, row })
  const putAddress = (column: string, row: string, address: Address | null) =>
    put(column, row, address && JSON.stringify(address))
  const getAddress = (column: string, row: string, sealed: Buffer | null): Address | null => {
    const text = get(column, row, sealed)
    return text === null ? null : JSON.parse(text)
  }
  return {
    seal: (row, { email, shippingAddress, billingAddress, note }) => ({
      email: put('email', row, email),
      shipping_address: putAddress('shipping_address', row, shippingAddress),
      billing_address: putAddress('billing_address', row, billingAddress),
      note: put('note', row, note),
    }),
    open: (row, { email, shipping_address, billing_address, note }) => ({
      email: get('email', row, email),
      shippingAddress: getAddress('shipping_address', row, shipping_address),
      billingAddress: getAddress('billing_address', row, billing_address),
      note: get('note', row, note),
    }),
  }
}
