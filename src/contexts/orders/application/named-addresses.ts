import type { Address } from '#kernel/address.ts'
import type { AddressId, UserId } from '#kernel/ids.ts'
import type { Reader } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import type { Doing } from './goods.ts'

export type FindAddress = (db: Reader, userId: UserId | null, id: AddressId) => Promise<Address>
export type NamedAddressesNeeds = {
  /** An address of this account's book; refuses users.address-not-found, also for a guest. */
  readonly findAddress: FindAddress
}

/** Addresses that are named instead of written out. */
export type NamedAddresses = { readonly shippingAddressId?: AddressId; readonly billingAddressId?: AddressId }
type Addresses = { readonly shippingAddress?: Address | null; readonly billingAddress?: Address | null }

/**
 * Writes the named addresses out: a cart keeps a copy, as what was bought stays where it went. Refuses carts.two-addresses
 * and users.address-not-found. One statement for each id.
 */
export async function withAddresses<Wanted extends Addresses>(
  { findAddress }: NamedAddressesNeeds,
  { db, actor }: Doing,
  { shippingAddressId, billingAddressId, ...wanted }: Wanted & NamedAddresses,
): Promise<Omit<Wanted & NamedAddresses, keyof NamedAddresses>> {
  const isBoth = (id: AddressId | undefined, address: Address | null | undefined) => id && address !== undefined
  if (isBoth(shippingAddressId, wanted.shippingAddress) || isBoth(billingAddressId, wanted.billingAddress))
    throw refuse('carts.two-addresses')
  return {
    ...wanted,
    ...(shippingAddressId ? { shippingAddress: await findAddress(db, actor.userId, shippingAddressId) } : {}),
    ...(billingAddressId ? { billingAddress: await findAddress(db, actor.userId, billingAddressId) } : {}),
  }
}
