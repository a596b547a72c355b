import type { UserId } from '#kernel/ids.ts'
import type { Work } from '#platform/db/work.ts'
import { register as registered, registeredAgain, type User } from '../domain/user.ts'

export type Registration = {
  readonly email: string
  readonly name: string | null
  readonly locale?: string | undefined
  readonly passwordHash: string
}

/** Saves the user unless the address has an account; returns whose it is now, if that is known. */
export type InsertUser = (work: Work, user: User) => Promise<UserId | undefined>

export type RegisterNeeds = { newUserId(): UserId; insertUser: InsertUser }

/**
 * Makes a customer's account. Says the same, and does as much, when the address has one: it changes nothing then, and tells
 * the holder while they may get mail.
 */
export const register =
  (needs: RegisterNeeds) =>
  async (work: Work, wanted: Registration, mayGetMail = true) => {
    const { state: user, events } = registered({ id: needs.newUserId(), ...wanted }, work.now)
    const holder = await needs.insertUser(work, user)
    if (holder === user.id) work.emit(...events)
    else if (holder && mayGetMail) work.emit(registeredAgain(holder))
    return { email: wanted.email }
  }
