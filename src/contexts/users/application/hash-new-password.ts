import { refuseWeakPassword } from '../domain/password-rules.ts'

export type HashNewPasswordNeeds = {
  hashPassword(password: string): Promise<string>
  commonPasswords(): Promise<ReadonlySet<string>>
  /** In characters. */
  passwordMinLength: { readonly customer: number; readonly staff: number }
  /** The names that the shop goes by. */
  shopWords: readonly string[]
}

/** Whose password it becomes: it is not to be made of their e-mail or name. */
export type PasswordHolder = { readonly email?: string | undefined; readonly name?: string | null | undefined }

/** The hash of a password that is good enough for a customer or for staff; refuses users.weak-password, users.too-busy. */
export const hashNewPassword =
  (needs: HashNewPasswordNeeds) =>
  async (password: string, whose: 'customer' | 'staff', { email, name }: PasswordHolder = {}): Promise<string> => {
    refuseWeakPassword(password, {
      minLength: needs.passwordMinLength[whose],
      listed: await needs.commonPasswords(),
      ownWords: [email, name, ...needs.shopWords].filter((word) => typeof word === 'string'),
    })
    return needs.hashPassword(password)
  }
