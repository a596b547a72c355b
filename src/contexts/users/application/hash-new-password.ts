import { refuseWeakPassword } from '../domain/password-rules.ts'

export type HashNewPasswordNeeds = { hashPassword(password: string): Promise<string> }

/** The hash of a password that is good enough for a customer or for staff; refuses users.weak-password, users.too-busy. */
export const hashNewPassword =
  (needs: HashNewPasswordNeeds) =>
  (password: string, whose: 'customer' | 'staff'): Promise<string> => {
    refuseWeakPassword(password, whose)
    return needs.hashPassword(password)
  }
