import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'
import { starvedMs } from './starved.ts'

/** How long one request may take, in this service. */
export const REQUEST_MS = 4_000

/** A service of its own, whose memory and pulse are watched. */
export type WatchedService = {
  readonly url: string
  readonly cluster: Cluster
  /** What it keeps in memory when its garbage is collected, in MB: the least that is seen within this time, or as little as is wanted. */
  readonly residentMb: (withinMs: number, wanted?: number) => Promise<number>
  /** The longest that it let somebody wait for the simplest answer since this was last asked, in ms, as far as it was its own doing. */
  readonly longestSilence: () => number
  /** How long it and this process were kept waiting for the processors so far, in ms. */
  readonly starvedMs: () => number
  readonly stop: () => Promise<void>
}

export async function startWatchedService(): Promise<WatchedService> {
  const database = await testDatabase()
  const cluster = await startCluster(database, {
    services: 1,
    env: {
      MALLOC_ARENA_MAX: '2',
      NODE_OPTIONS: `--import=${join(import.meta.dirname, 'collect-garbage.ts')}`,
      REQUEST_TIMEOUT_MS: String(REQUEST_MS),
    },
  })
  const { url, pid } = cluster.services[0]
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid()}/status`, 'utf8'))?.[1]) / 1_024
  const starving = () => starvedMs() + starvedMs(pid())
  let silence = 0
  let watching = true
  const watch = async () => {
    while (watching) {
      const [asked, starved] = [performance.now(), starving()]
      await fetch(`${url}/health/live`).then((answer) => answer.arrayBuffer())
      silence = Math.max(silence, performance.now() - asked - (starving() - starved))
      await pause(20)
    }
  }
  const watched = watch().catch((error) => {
    if (watching) silence = Number.POSITIVE_INFINITY
    return error
  })
  return {
    url,
    cluster,
    residentMb: async (withinMs, wanted = 0) => {
      let least = Number.POSITIVE_INFINITY
      for (const until = Date.now() + withinMs; Date.now() < until && least > wanted; await pause(500)) {
        process.kill(pid() as number, 'SIGUSR2')
        least = Math.min(least, resident())
      }
      return least
    },
    starvedMs: starving,
    longestSilence: () => {
      const longest = silence
      silence = 0
      return longest
    },
    stop: async () => {
      watching = false
      await watched
      await cluster.stop()
      await database.drop()
    },
  }
}
