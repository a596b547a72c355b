import type { Address } from '#kernel/address.ts'
import type { AddressId, UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'

export type AddressView = Address & { readonly id: AddressId }

export type AddressBookNeeds = {
  newAddressId(): AddressId
  /** Refuses users.too-many-addresses. */
  insertAddress(work: Work, userId: UserId, address: AddressView): Promise<void>
  /** Locks one, changes it and saves; refuses users.address-not-found, platform.stale. Its new version. */
  changeAddress(
    work: Work,
    userId: UserId,
    id: AddressId,
    version: number,
    change: (address: Address) => Address,
  ): Promise<{ address: AddressView; version: number }>
  /** Refuses users.address-not-found, platform.stale. */
  removeAddress(work: Work, userId: UserId, id: AddressId, version: number): Promise<void>
}

/** Puts an address into one's book, of at most 20. */
export const addAddress =
  (needs: AddressBookNeeds) =>
  async (work: Work, userId: UserId, address: Address): Promise<AddressView> => {
    const added = { ...address, id: needs.newAddressId() }
    await needs.insertAddress(work, userId, added)
    return added
  }

/** What an address can be changed in: left out stays, null takes out what need not be there. */
export type AddressChange = { readonly [Key in keyof Address]?: Address[Key] | null }

/** Changes an address of one's book. What was ordered keeps the copy that it was ordered with. */
export const changeAddress =
  (needs: AddressBookNeeds) => (work: Work, userId: UserId, id: AddressId, version: number, change: AddressChange) =>
    needs.changeAddress(work, userId, id, version, (address) => {
      const changed = Object.entries({ ...address, ...change }).filter(([, value]) => value !== null)
      return Object.fromEntries(changed) as unknown as Address
    })

/** Takes an address out of one's book. */
export const removeAddress =
  (needs: AddressBookNeeds) =>
  (work: Work, userId: UserId, id: AddressId, version: number): Promise<void> =>
    needs.removeAddress(work, userId, id, version)
