import type { Clock } from '#kernel/clock.ts'

/** What one key has used of its window, and when that window ends (milliseconds since 1970). */
export type Window = { readonly used: number; readonly endsAt: number }

/** More than this many keys at once, and the oldest are forgotten: a flood of addresses must not fill the memory. */
const MOST_KEYS = 50_000

/** Counts in this process: exact here, and unknown to every other. */
export function countHere(clock: Clock, seconds: number, mostKeys = MOST_KEYS) {
  const windows = new Map<string, Window>()
  const live = (key: string): Window => {
    const now = clock().getTime()
    const window = windows.get(key)
    return window && window.endsAt > now ? window : { used: 0, endsAt: now + seconds * 1_000 }
  }
  const put = (key: string, window: Window): Window => {
    const [oldest] = windows.size >= mostKeys && !windows.has(key) ? windows.keys() : []
    if (oldest !== undefined) windows.delete(oldest)
    windows.set(key, window)
    return window
  }
  return {
    read: live,
    put,
    /** Adds to what the key has used; less than nothing was never used. */
    add: (key: string, points: number): Window => {
      const { used, endsAt } = live(key)
      return put(key, { used: Math.max(0, used + points), endsAt })
    },
    forget: (key: string): void => void windows.delete(key),
  }
}
