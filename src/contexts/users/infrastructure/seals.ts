import type { SessionId, UserId } from '#kernel/ids.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { Caller } from '../domain/session.ts'

/** The sealed columns of a user, and the id that they are bound to. */
export type SealedUser = { readonly id: UserId; readonly email: Buffer; readonly name: Buffer | null }
type OpenUser = { readonly id: UserId; readonly email: string; readonly name: string | null }

/** How a user's personal columns are sealed, opened and looked up. */
export function sealsOf(encryption: Encryption) {
  const factorPlace = (column: string, row: UserId) => ({ table: 'users.second_factors', column, row })
  const place = (column: string, row: UserId) => ({ table: 'users.users', column, row })
  return {
    seal: ({ id, email, name }: OpenUser): SealedUser => ({
      id,
      email: encryption.seal(email, place('email', id)),
      name: name === null ? null : encryption.seal(name, place('name', id)),
    }),
    open: ({ id, email, name }: SealedUser): OpenUser => ({
      id,
      email: encryption.open(email, place('email', id)),
      name: name === null ? null : encryption.open(name, place('name', id)),
    }),
    openEmail: (id: UserId, email: Buffer): string => encryption.open(email, place('email', id)),
    sealSecret: (id: UserId, secret: string): Buffer => encryption.seal(secret, factorPlace('secret', id)),
    openSecret: (id: UserId, secret: Buffer): string => encryption.open(secret, factorPlace('secret', id)),
    sealNextSecret: (id: UserId, secret: string): Buffer => encryption.seal(secret, factorPlace('next_secret', id)),
    openNextSecret: (id: UserId, secret: Buffer): string => encryption.open(secret, factorPlace('next_secret', id)),
    emailIndex: (email: string): Buffer => encryption.blindIndex(email, 'users.email'),
  }
}

/** Where a session is used from, as it is kept. */
export type SealedCaller = { readonly address: Buffer | null; readonly device: Buffer | null }

/** How the personal columns of a session are sealed and opened. */
export function sessionSealsOf(encryption: Encryption) {
  const place = (column: keyof Caller, row: SessionId) => ({ table: 'users.sessions', column, row })
  const seal = (column: keyof Caller, row: SessionId, value: string | null) =>
    value === null ? null : encryption.seal(value, place(column, row))
  const open = (column: keyof Caller, row: SessionId, value: Buffer | null) =>
    value === null ? null : encryption.open(value, place(column, row))
  return {
    sealCaller: ({ address, device }: Caller, row: SessionId): SealedCaller => ({
      address: seal('address', row, address),
      device: seal('device', row, device),
    }),
    openCaller: ({ address, device }: SealedCaller, row: SessionId): Caller => ({
      address: open('address', row, address),
      device: open('device', row, device),
    }),
  }
}
