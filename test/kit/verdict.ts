import { appendFileSync } from 'node:fs'
import { expect } from 'vitest'

/** How a promise was kept when it was tried: a row of the table that `make chaos` prints. */
export type Verdict = {
  /** Its name in the list of promises, such as `P2`. */
  readonly promise: string
  /** What was done to the shop: `200 buyers of 7 units, over two processes`. */
  readonly tried: string
  /** How often: orders, requests, events, whatever was counted. */
  readonly n: number
  /** What was wrong, each in words. */
  readonly violations: readonly string[]
  readonly p99Ms?: number
  readonly seed?: number
}

const SHOWN = 20

/** The words of those that are so, of what must not be: `{ [`${n} orders of one key`]: n !== 1 }`. */
export const whichHold = (wrongs: Readonly<Record<string, boolean>>): string[] =>
  Object.keys(wrongs).filter((words) => wrongs[words])

/** The time that 99 of 100 keep within (nearest rank); 0 when there are none. */
export const p99Of = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? 0

/** Which round it was that kept a bound on times, where the machine is given more than one. */
export const inRound = (round: number): string => (round === 1 ? '' : `, in round ${round}`)

/** Notes how a promise was kept, in the file that VERDICTS names, and fails when it was not. */
export function verdict(one: Verdict): void {
  const { violations, ...rest } = one
  const file = process.env.VERDICTS
  if (file) appendFileSync(file, `${JSON.stringify({ ...rest, violations: violations.length })}\n`)
  expect(violations.slice(0, SHOWN), `${one.promise}, ${one.tried}: ${violations.length} violations`).toEqual([])
}
