import { expect, it } from 'vitest'
import { judgeRefresh, type Presented, repeatableSince } from './refresh.ts'

const now = new Date('2026-03-01T12:00:00Z')
const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000)
const live: Presented = { sessionLive: true, expiresAt: at(60), usedAt: null, successor: null }

it.each<[string, Partial<Presented>, ReturnType<typeof judgeRefresh>]>([
  ['a live one', {}, 'rotate'],
  ['the last one, moments after', { usedAt: at(-1), successor: 'next' }, 'repeat'],
  ['the last one, used at this very moment', { usedAt: now, successor: 'next' }, 'repeat'],
  ['one whose successor is used, or long made', { usedAt: at(-1) }, 'reuse'],
  ['one that is over', { expiresAt: now }, 'ended'],
  ['a used one that is over', { expiresAt: now, usedAt: at(-1) }, 'ended'],
  ['one of a session that is over', { sessionLive: false }, 'ended'],
  ['the last one of a session that is over', { sessionLive: false, usedAt: at(-1), successor: 'next' }, 'ended'],
  ['a used one of a session that is over', { sessionLive: false, usedAt: at(-1) }, 'ended'],
])('judges %s', (_, presented, verdict) => {
  expect(judgeRefresh({ ...live, ...presented }, now)).toBe(verdict)
})

it('repeats an exchange for thirty seconds', () => expect(repeatableSince(now)).toEqual(at(-30)))
