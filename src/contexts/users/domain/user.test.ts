import { describe, expect, it } from 'vitest'
import {
  ALL_PERMISSIONS,
  FIRST_ROLES,
  FIXED_ROLES,
  grantsOf,
  guestPermissions,
  isStaff,
  permissionsOf,
  type StoredRoles,
} from './roles.ts'
import { changeAccount, changeMe, createStaff, register, type User } from './user.ts'

const now = new Date('2026-01-01T00:00:00Z')
const draft = { id: 'usr_1', email: 'ann@shop.example', name: 'Ann', passwordHash: '$argon2id$' } as const
const stored: StoredRoles = new Map(Object.entries(FIRST_ROLES).map(([name, { permissions }]) => [name, permissions]))
const allowed = (...roles: string[]) => permissionsOf(roles, grantsOf(roles, stored))
const by = (...roles: string[]) => ({ permissions: allowed(...roles) })
const aStaff = (...roles: string[]): User => createStaff({ ...draft, roles }, by('owner'), stored, now).state
const types = (events: readonly { type: string }[]) => events.map(({ type }) => type)

describe('roles', () => {
  it('add up, and unknown ones are nothing', () => {
    expect(allowed('fulfilment').has('orders:ship')).toBe(true)
    expect(allowed('fulfilment').has('payments:refund')).toBe(false)
    expect(allowed('fulfilment', 'finance').has('payments:refund')).toBe(true)
    for (const role of ['god', '__proto__', 'constructor', 'toString'])
      expect(allowed(role)).toEqual(new Set(FIXED_ROLES.customer.permissions))
  })

  it('let everybody shop, and only the owner make owners', () => {
    const everyone = ['customer', ...Object.keys(FIRST_ROLES), 'owner']
    for (const role of everyone)
      expect([...allowed(role)]).toEqual(expect.arrayContaining([...FIXED_ROLES.guest.permissions]))
    expect(everyone.filter((role) => allowed(role).has('owners:grant'))).toEqual(['owner'])
    expect([...allowed('owner')].sort()).toEqual([...ALL_PERMISSIONS].sort())
    expect([...guestPermissions].filter((permission) => !allowed('customer').has(permission))).toEqual([])
    expect([isStaff(['customer']), isStaff(['support']), isStaff(['customer', 'admin'])]).toEqual([false, true, true])
  })
})

describe('users', () => {
  it('register as customers', () => {
    const { state, events } = register(draft, now)
    expect(state).toEqual({
      ...draft,
      locale: 'en',
      roles: ['customer'],
      disabledAt: null,
      emailVerifiedAt: null,
      createdAt: now,
    })
    expect(events).toEqual([{ type: 'users.registered.v1', subject: 'usr_1', data: { userId: 'usr_1' } }])
  })

  it('change their name and their language once, each by itself', () => {
    const { state, events } = changeMe(register(draft, now).state, { name: 'Zoë' })
    expect([state.name, state.locale, types(events)]).toEqual(['Zoë', 'en', ['users.changed.v1']])
    const german = changeMe(state, { locale: 'de' })
    expect([german.state.name, german.state.locale, types(german.events)]).toEqual(['Zoë', 'de', ['users.changed.v1']])
    expect(changeMe(german.state, { name: 'Zoë', locale: 'de' }).events).toEqual([])
    const nameless = register({ ...draft, name: null }, now).state
    expect(changeMe(nameless, { locale: 'de' }).state.name).toBeNull()
  })

  it.each<[string, string[], string[], boolean]>([
    ['an owner makes an owner', ['owner'], ['owner'], true],
    ['an admin makes an admin', ['admin'], ['admin'], true],
    ['an admin makes support and finance', ['support', 'finance'], ['admin'], true],
    ['an admin makes an owner', ['owner'], ['admin'], false],
    ['support makes support', ['support'], ['support'], true],
    ['support makes finance', ['finance'], ['support'], false],
    ['support makes both', ['support', 'finance'], ['support'], false],
    ['a customer makes support', ['support'], ['customer'], false],
  ])('%s', (_, roles, grantor, allowed) => {
    const make = () => createStaff({ ...draft, roles }, by(...grantor), stored, now)
    if (allowed) expect(make().state.roles).toEqual([...roles].sort())
    else expect(make).toThrow(expect.objectContaining({ code: 'users.cannot-grant' }))
  })

  it('tell of each change once', () => {
    const user = aStaff('support')
    const change = (from: User, what: object) => changeAccount(from, what, by('owner'), { owners: [], stored }, now)
    expect(types(change(user, { roles: ['finance'] }).events)).toEqual(['users.roles-changed.v1'])
    expect(types(change(user, { roles: ['support', 'support'] }).events)).toEqual([])
    const disabled = change(user, { disabled: true, roles: ['finance'] })
    expect(types(disabled.events)).toEqual(['users.roles-changed.v1', 'users.disabled.v1'])
    expect(types(change(disabled.state, { disabled: true }).events)).toEqual([])
    expect(types(change(disabled.state, { disabled: false }).events)).toEqual(['users.enabled.v1'])
  })

  it('refuse to be changed by those who lack their rights', () => {
    const change =
      (user: User, what: object, ...grantor: string[]) =>
      () =>
        changeAccount(user, what, by(...grantor), { owners: [], stored }, now)
    const refused = expect.objectContaining({ code: 'users.cannot-grant' })
    expect(change(aStaff('owner'), { disabled: true }, 'admin')).toThrow(refused)
    expect(change(aStaff('owner'), { roles: ['support'] }, 'admin')).toThrow(refused)
    expect(change(aStaff('support'), { roles: ['owner'] }, 'admin')).toThrow(refused)
    expect(change(aStaff('admin'), { disabled: true }, 'admin')).not.toThrow()
  })

  it('keep a last owner, and customers as customers', () => {
    const owner = aStaff('owner')
    const shop = (...owners: `usr_${string}`[]) => ({ owners, stored })
    const last = expect.objectContaining({ code: 'users.last-owner' })
    for (const what of [{ disabled: true }, { roles: ['admin'] }] as const) {
      expect(() => changeAccount(owner, what, by('owner'), shop('usr_1'), now)).toThrow(last)
      expect(() => changeAccount(owner, what, by('owner'), shop('usr_1', 'usr_2'), now)).not.toThrow()
    }
    expect(() => changeAccount(owner, { roles: ['owner', 'finance'] }, by('owner'), shop('usr_1'), now)).not.toThrow()
    const customer = register(draft, now).state
    expect(() => changeAccount(customer, { roles: ['support'] }, by('owner'), shop(), now)).toThrow(
      expect.objectContaining({ code: 'users.not-staff' }),
    )
    expect(changeAccount(customer, { disabled: true }, by('admin'), shop(), now).state.disabledAt).toEqual(now)
  })
})
