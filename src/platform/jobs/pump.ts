import type { Log } from '#platform/telemetry/log.ts'

export type Pump = {
  /** Runs it soon: at once when idle, once more after the present run when busy. Never throws, never waits. */
  readonly wake: () => void
  /** Starts polling. */
  readonly start: () => void
  /** Lets the present run end and starts none after it. */
  readonly stop: () => Promise<void>
}

export type PumpOptions = {
  readonly name: string
  /** At most this long between two runs, woken or not. */
  readonly everyMs: number
  /** At least this long between two runs however often it is woken, so that work gathers into batches. */
  readonly atLeastMs?: number
  /** One bout of the work. True: there may be more, and it is run again at once, unless it is to stop. */
  readonly run: () => Promise<unknown>
  readonly log: Log
}

/**
 * Runs one piece of background work, never twice at once in this process: when woken, and every `everyMs` anyway. Until it is
 * stopped it keeps the process alive: a worker whose database is away has nothing else that does.
 */
export function makePump({ name, everyMs, atLeastMs = 0, run, log }: PumpOptions): Pump {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let wanted = false
  let started = false
  let lastStart = 0

  const schedule = (delayMs: number) => {
    clearTimeout(timer)
    timer = setTimeout(runOnce, delayMs)
  }
  const pauseMs = () => Math.max(0, lastStart + atLeastMs - performance.now())

  function runOnce() {
    if (!started || running) return
    wanted = false
    lastStart = performance.now()
    running = run()
      .then(
        (more) => {
          wanted ||= more === true
        },
        (error) => log.error({ err: error, pump: name }, 'background work failed, it will be run again'),
      )
      .finally(() => {
        running = undefined
        if (started) schedule(wanted ? pauseMs() : everyMs)
      })
  }

  return {
    wake: () => {
      if (wanted || !started) return
      wanted = true
      if (!running) schedule(pauseMs())
    },
    start: () => {
      started = true
      schedule(0)
    },
    stop: async () => {
      started = false
      clearTimeout(timer)
      await running
    },
  }
}
