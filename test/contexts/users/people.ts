import { expect } from 'vitest'
import { systemActor } from '#platform/db/system.ts'
import type { Sent, TestShop } from '../../kit/shop.ts'

export const PASSWORD = 'a horse of another colour'

export const bearer = ({ body }: Sent) => ({ authorization: `Bearer ${body.accessToken}` })

/** What people do with their accounts. */
export function peopleOf(shop: TestShop) {
  const register = (email: string, password = PASSWORD, name = 'Ann Lee') =>
    shop.send('POST', '/v1/auth/register', { email, password, name })
  const logIn = (email: string, password = PASSWORD) => shop.send('POST', '/v1/auth/login', { email, password })
  return {
    register,
    logIn,
    refresh: (refreshToken: string) => shop.send('POST', '/v1/auth/refresh', { refreshToken }),
    me: (session: Sent) => shop.send('GET', '/v1/users/me', undefined, bearer(session)),

    /** A customer, logged in. */
    customer: async (email: string) => {
      await register(email)
      return logIn(email)
    },

    /** The owner of the first run; undefined when there is one. */
    createOwner: () =>
      shop.app.perform({ actor: systemActor, requestId: 'test' }, (work) =>
        shop.app.contexts.users.createOwner(work, { email: 'owner@shop.example', name: 'The Owner' }),
      ),

    /** Staff with these roles, made by this session and logged in. */
    staff: async (by: Sent, email: string, roles: string[]) => {
      const made = await shop.send('POST', '/v1/users', { email, password: PASSWORD, name: 'Staff', roles }, bearer(by))
      expect(made.status).toBe(201)
      return { id: made.body.id as string, session: await logIn(email) }
    },
  }
}

export function expectInvalidToken(answer: Sent): void {
  expect(answer).toMatchObject({ status: 401, body: { code: 'users.invalid-token' } })
  expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"')
}
