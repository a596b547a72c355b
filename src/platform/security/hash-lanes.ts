import { Worker } from 'node:worker_threads'
import type { Options } from '@node-rs/argon2'

/** A password to be hashed, or to be compared with a hash. */
export type HashTask = { readonly password: string } & ({ readonly make: Options } | { readonly against: string })

/** Does one task after the other, on a thread of its own with less priority than the rest of the service. */
type Lane = (task: HashTask) => Promise<string | boolean>

/** So many tasks at once; `maxWaiting` more wait for their turn, and beyond that it throws what `tooBusy` makes. */
export function makeLanes(atOnce: number, maxWaiting: number, tooBusy: () => Error): Lane {
  const idle = Array.from({ length: atOnce }, makeLane)
  const waiting: ((lane: Lane) => void)[] = []
  const turn = () => {
    if (waiting.length >= maxWaiting) throw tooBusy()
    return new Promise<Lane>((begin) => waiting.push(begin))
  }
  return async (task) => {
    const lane = idle.pop() ?? (await turn())
    try {
      return await lane(task)
    } finally {
      const next = waiting.shift()
      if (next) next(lane)
      else idle.push(lane)
    }
  }
}

/** Starts its thread with the first task, and another one after a crash; an idle thread keeps no process alive. */
function makeLane(): Lane {
  let worker: Worker | undefined
  let settle: { resolve: (result: string | boolean) => void; reject: (error: Error) => void } | undefined
  const start = () => {
    const started = new Worker(new URL('./hash-worker.ts', import.meta.url), { execArgv: [] })
    const crashed = (error: Error) => {
      if (worker === started) worker = undefined
      settle?.reject(error)
    }
    started.on('message', (result) => settle?.resolve(result))
    started.on('error', crashed)
    started.on('exit', (code) => crashed(new Error(`The hashing thread ended with ${code}.`)))
    return started
  }
  return async (task) => {
    worker ??= start()
    const on = worker
    on.ref()
    try {
      return await new Promise<string | boolean>((resolve, reject) => {
        settle = { resolve, reject }
        on.postMessage(task)
      })
    } finally {
      settle = undefined
      on.unref()
    }
  }
}
