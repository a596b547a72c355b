import { expect, it } from 'vitest'
import { minutesAfter } from '#kernel/clock.ts'
import { requireRecent } from './session.ts'

const now = new Date('2026-03-01T12:00:00Z')

it.each([
  ['just now', now],
  ['ten minutes ago', minutesAfter(now, -10)],
])('takes a password shown %s as recent', (_, authenticatedAt) => {
  expect(() => requireRecent({ authenticatedAt }, now)).not.toThrow()
})

it.each([
  ['longer ago', { authenticatedAt: new Date(minutesAfter(now, -10).getTime() - 1) }],
  ['in no row that knows', { authenticatedAt: null }],
  ['by nobody', {}],
])('asks for it again when it was shown %s', (_, proved) => {
  expect(() => requireRecent(proved, now)).toThrow(
    expect.objectContaining({ code: 'users.reauthentication-required', kind: 'forbidden' }),
  )
})
