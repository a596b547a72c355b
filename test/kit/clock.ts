import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/**
 * One clock for many processes. Each that is started with CLOCK_FILE in its environment, and this file loaded before its own,
 * tells the time by so many milliseconds as the file says later than it is. What waits by a timer waits as long as ever.
 */
const READ_EVERY_MS = 50

const offsetIn = (file: string): number => {
  try {
    return Number(readFileSync(file, 'utf8'))
  } catch {
    return 0
  }
}

/** Moves the clock of all processes that read this file; resolves when each has read it. */
export async function advanceClock(file: string, ms: number): Promise<void> {
  writeFileSync(file, String(offsetIn(file) + ms))
  await pause(4 * READ_EVERY_MS)
}

/** Lets this process read the time off the file from now on. */
function shiftBy(file: string): void {
  const Real = Date
  let offsetMs = offsetIn(file)
  setInterval(() => {
    offsetMs = offsetIn(file)
  }, READ_EVERY_MS).unref()
  globalThis.Date = class extends Real {
    constructor(...given: unknown[]) {
      super(...((given.length > 0 ? given : [Real.now() + offsetMs]) as [number]))
    }
    static override now = () => Real.now() + offsetMs
    static override [Symbol.hasInstance] = (value: unknown) => value instanceof Real
  } as unknown as DateConstructor
}

if (process.env.CLOCK_FILE) shiftBy(process.env.CLOCK_FILE)
