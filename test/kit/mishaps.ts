import { setTimeout as pause } from 'node:timers/promises'
import { seeded } from '#src/sandbox/seeded.ts'
import { shuffled } from './chaos.ts'
import type { ShopProcess } from './processes.ts'
import type { ShopToBreak } from './shop-to-break.ts'
import type { Toxic } from './toxics.ts'

/** Something that goes wrong with a shop for a while; `who` is the number of one of its processes. */
export type Mishap =
  | { readonly kind: 'kill' | 'restart'; readonly who: number }
  | { readonly kind: 'hang'; readonly who: number; readonly ms: number }
  /** One or both processes of the API, or the worker, are started with something at named places. */
  | { readonly kind: 'failpoints'; readonly who: number; readonly spec: string; readonly ms: number }
  | { readonly kind: 'rotate-keys'; readonly spec: string }
  | { readonly kind: 'database-kill' | 'database-restart' | 'database-terminate' }
  | { readonly kind: 'database-hang'; readonly ms: number }
  | {
      readonly kind: 'cut'
      readonly link: 'database' | 'stripe'
      readonly toxics: readonly Toxic[]
      readonly ms: number
    }
  | { readonly kind: 'clock'; readonly minutes: number }

const TOXICS: readonly Toxic[] = [
  { type: 'latency', ms: 150, jitterMs: 100 },
  { type: 'reset' },
  { type: 'reset', afterBytes: 400 },
  { type: 'black-hole' },
  { type: 'slicer', bytes: 7 },
  { type: 'limit', bytes: 900 },
  { type: 'bandwidth', bytesPerSecond: 20_000 },
]

/** Places that only background work passes. */
const BEHIND = /^(consumer|delivery|event\.claimed|event\.published|order\.expired|order\.mailed)/

/**
 * What goes wrong in a run, one after the other: the same for the same seed. A few seeds that follow each other have each
 * kind of it. Where a place is named, it is the last process that passes it if it is background work (a worker, if there is one).
 */
export function drawMishaps(seed: number, count: number, places: readonly string[]): Mishap[] {
  const random = seeded(seed)
  const below = (n: number) => Math.floor(random() * n)
  const oneOf = <One>(all: readonly One[]): One => all[below(all.length)] as One
  const ms = () => 500 + below(2_000)
  const [ofKeys, others] = [
    places.filter((place) => place.startsWith('keys.')),
    places.filter((place) => !place.startsWith('keys.')),
  ]
  const doing = (place: string) => `${place}=${oneOf(['kill', 'error', `delay:${100 + below(900)}`])}`
  const [behind, before] = [others.filter((place) => BEHIND.test(place)), others.filter((place) => !BEHIND.test(place))]
  const atPlaces = (count: number): Mishap => {
    const [who, some] = random() < 0.5 ? [2, behind] : [below(2), before]
    const spec = Array.from({ length: count }, () => doing(oneOf(some))).join(';')
    return { kind: 'failpoints', who, spec, ms: ms() }
  }
  const cut = (link: 'database' | 'stripe'): Mishap => ({ kind: 'cut', link, toxics: [oneOf(TOXICS)], ms: ms() })
  const draws: readonly (() => Mishap)[] = [
    () => ({ kind: 'kill', who: below(3) }),
    () => ({ kind: 'database-kill' }),
    () => atPlaces(2),
    () => ({ kind: 'hang', who: below(3), ms: ms() }),
    () => cut('database'),
    () => ({ kind: 'rotate-keys', spec: doing(oneOf(ofKeys)) }),
    () => ({ kind: 'database-restart' }),
    () => atPlaces(1),
    () => ({ kind: 'clock', minutes: oneOf([1, 6, 16]) }),
    () => ({ kind: 'database-terminate' }),
    () => ({ kind: 'restart', who: below(3) }),
    () => cut('stripe'),
    () => ({ kind: 'database-hang', ms: ms() }),
  ]
  function* inTurn() {
    for (let i = 0; i < count; i += 1) yield (draws[(seed * count + i) % draws.length] as () => Mishap)()
  }
  return shuffled(inTurn(), random)
}

/** Lets it happen, and ends it. A process that is gone is started again. */
export async function happen(shop: ShopToBreak, mishap: Mishap): Promise<void> {
  const { cluster, postgres, links, processes } = shop
  const one = (who: number) => processes[who % processes.length] as ShopProcess
  switch (mishap.kind) {
    case 'kill':
      return killed(one(mishap.who), 'SIGKILL')
    case 'restart':
      return killed(one(mishap.who), 'SIGTERM')
    case 'hang':
      one(mishap.who).hang()
      await pause(mishap.ms)
      return one(mishap.who).resume()
    case 'failpoints':
      return withFailpoints(one(mishap.who), mishap.spec, mishap.ms)
    case 'rotate-keys':
      await cluster.stoaWith({ FAILPOINTS: mishap.spec }, 'rotate-keys', '--json')
      return
    case 'database-kill':
      await postgres.kill()
      return postgres.start()
    case 'database-restart':
      await postgres.end()
      return postgres.start()
    case 'database-terminate':
      await postgres.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename is not null',
      )
      return
    case 'database-hang':
      postgres.hang()
      await pause(mishap.ms)
      return postgres.resume()
    case 'cut':
      links[mishap.link].set(...mishap.toxics)
      await pause(mishap.ms)
      return links[mishap.link].set()
    case 'clock':
      return cluster.advance(mishap.minutes)
  }
}

async function killed(one: ShopProcess, signal: NodeJS.Signals): Promise<void> {
  await one.end(signal)
  await one.start()
}

/** Starts it with something at named places, where it may die before it is ready, and as it was again. */
async function withFailpoints(one: ShopProcess, spec: string, ms: number): Promise<void> {
  await one.end('SIGTERM')
  await one.start({ FAILPOINTS: spec }).catch(() => {})
  for (const until = Date.now() + ms; Date.now() < until && !one.isGone(); ) await pause(50)
  await one.end('SIGTERM')
  await one.start()
}

/** Everything is well again: what was done to wires and processes is undone. */
export async function heal({ links, processes, cluster }: ShopToBreak): Promise<void> {
  for (const link of Object.values(links)) link.set()
  await cluster.stripe.command('clearFaults')
  await cluster.stripe.command('webhooks', { jitterMs: 0, duplicateRate: 0, dropRate: 0 })
  for (const one of processes) await killed(one, 'SIGTERM')
}
