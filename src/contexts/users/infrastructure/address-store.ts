import { sql } from 'kysely'
import type { Address } from '#kernel/address.ts'
import type { AddressId, UserId } from '#kernel/ids.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import { refuse as refusePlatform } from '#platform/problems.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { AddressBookNeeds, AddressView } from '../application/address-book.ts'
import { refuse } from '../domain/problems.ts'

const MOST_ADDRESSES = 20

type Row = { readonly id: AddressId; readonly address: Buffer; readonly version: number }

/** SQL of people's address books. Another person's address is missing, as one that was never there. */
export function addressStore(encryption: Encryption) {
  const place = (row: AddressId) => ({ table: 'users.addresses', column: 'address', row })
  const seal = (id: AddressId, address: Address) => encryption.seal(JSON.stringify(address), place(id))
  const open = ({ id, address }: Row): AddressView => ({ ...JSON.parse(encryption.open(address, place(id))), id })

  const findOwn = async (db: Reader, userId: UserId | null, id: AddressId): Promise<Row> => {
    const { rows } = await sql<Row>`
      select id, address, version from users.addresses where id = ${id} and user_id = ${userId}`.execute(db)
    if (!rows[0]) throw refuse('users.address-not-found')
    return rows[0]
  }

  /** The row stays as it is until the commit. */
  const lockOwn = async (work: Work, userId: UserId, id: AddressId, version: number): Promise<Row> => {
    await sql`select 1 from users.addresses where id = ${id} and user_id = ${userId} for update`.execute(work.tx)
    const row = await findOwn(work.tx, userId, id)
    if (row.version !== version) throw refusePlatform('platform.stale')
    return row
  }

  const store: Omit<AddressBookNeeds, 'newAddressId'> = {
    insertAddress: async (work, userId, { id, ...address }) => {
      await sql`select 1 from users.users where id = ${userId} for update`.execute(work.tx)
      const { rows } = await sql`
        insert into users.addresses (id, user_id, address, created_at, updated_at)
        select ${id}, ${userId}, ${seal(id, address)}, ${work.now}, ${work.now}
        where (select count(*) from users.addresses where user_id = ${userId}) < ${MOST_ADDRESSES}
        returning 1`.execute(work.tx)
      if (rows.length === 0) throw refuse('users.too-many-addresses')
    },

    changeAddress: async (work, userId, id, version, change) => {
      const { id: _, ...before } = open(await lockOwn(work, userId, id, version))
      const address = change(before)
      await sql`
        update users.addresses set address = ${seal(id, address)}, version = version + 1, updated_at = ${work.now}
        where id = ${id}`.execute(work.tx)
      return { address: { ...address, id }, version: version + 1 }
    },

    removeAddress: async (work, userId, id, version) => {
      await lockOwn(work, userId, id, version)
      await sql`delete from users.addresses where id = ${id}`.execute(work.tx)
    },
  }

  return {
    ...store,

    /** One's address and its version; refuses users.address-not-found. */
    readAddress: async (db: Reader, userId: UserId, id: AddressId) => {
      const row = await findOwn(db, userId, id)
      return { address: open(row), version: row.version }
    },

    /** The address as it is written on a parcel; refuses users.address-not-found, also for a guest. */
    findAddress: async (db: Reader, userId: UserId | null, id: AddressId): Promise<Address> => {
      const { id: _, ...address } = open(await findOwn(db, userId, id))
      return address
    },

    /** One's addresses, the newest first. */
    listAddresses: async (db: Reader, userId: UserId, limit: number, afterId = '~'): Promise<Page<AddressView>> => {
      const { rows } = await sql<Row>`
        select id, address, version from users.addresses
        where user_id = ${userId} and id < ${afterId} order by id desc limit ${limit + 1}`.execute(db)
      return pageOf(rows, limit, open, (row) => [row.id])
    },
  }
}

export type AddressStore = ReturnType<typeof addressStore>
