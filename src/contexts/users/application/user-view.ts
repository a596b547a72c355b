import type { UserId } from '#kernel/ids.ts'

/** A user as answers show one. */
export type UserView = {
  readonly id: UserId
  readonly email: string
  readonly emailVerified: boolean
  readonly name: string | null
  readonly locale: string
  readonly roles: readonly string[]
  readonly disabled: boolean
  readonly createdAt: string
}
