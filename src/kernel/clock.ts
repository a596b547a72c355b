/** Tells the time. Passed to whoever needs it, so that a test can move it. */
export type Clock = () => Date

const MINUTE_MS = 60_000

/** The moment `minutes` after `from` (before it, when negative). */
export const minutesAfter = (from: Date, minutes: number): Date => new Date(from.getTime() + minutes * MINUTE_MS)
