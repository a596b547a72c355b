import { appendFileSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { breakAt } from '#platform/resilience/failpoints.ts'

/**
 * Gives the named places of the product life. Processes of tests are started with this file loaded before theirs (`node
 * --import`), and do then what FAILPOINTS says: `order.committed=kill;payment.before-call=error;stock.held=delay:500`.
 * With FAILPOINTS_FILE, what that file says when a place is passed, so that a running process can be told.
 * The places that were passed are written into FAILPOINTS_PASSED, a line for each at its first time, what was done before it is.
 */
type Action = { readonly kind: 'pass' | 'kill' | 'error' } | { readonly kind: 'delay'; readonly ms: number }

const ENTRY = /^\s*([a-z][a-z.-]*)=(?:(kill|error)|delay:(\d{1,6}))\s*$/
const ROOT = join(import.meta.dirname, '../..')
let actions: ReadonlyMap<string, Action> = new Map()
const passed = new Set<string>()

/** Enables the failpoints of a specification such as `name=kill;other=delay:500`; an empty one disables all. Throws a RangeError for anything else. */
export function enableFailpoints(spec: string): void {
  actions = actionsOf(spec)
}

const actionsOf = (spec: string): ReadonlyMap<string, Action> =>
  new Map(
    spec
      .split(';')
      .filter((entry) => entry.trim() !== '')
      .map(readEntry),
  )

/** Every place that the product names, each as often as it does, in order. */
export const namedPlaces = (): string[] =>
  globSync('src/**/*.ts', { cwd: ROOT })
    .flatMap((file) => [...readFileSync(join(ROOT, file), 'utf8').matchAll(/failpoint\('([^']+)'\)/g)])
    .map(([, place]) => place as string)
    .sort()

/** How often a process came to a place and did that there, by what FAILPOINTS_PASSED names: `order.mailed kill`. */
export const timesPassed = (file: string, what: string): number =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line === what).length

function readEntry(entry: string): [string, Action] {
  const [, name = '', kind, ms] = ENTRY.exec(entry) ?? []
  if (!name) throw new RangeError(`"${entry}" is not a failpoint: name=kill, name=error or name=delay:<ms>.`)
  return [name, kind === undefined ? { kind: 'delay', ms: Number(ms) } : { kind: kind as 'kill' | 'error' }]
}

function note(name: string, action: Action): void {
  const file = process.env.FAILPOINTS_PASSED
  const line = `${name} ${action.kind}\n`
  if (!file || passed.has(line)) return
  passed.add(line)
  appendFileSync(file, line)
}

const { FAILPOINTS = '', FAILPOINTS_FILE: told } = process.env
breakAt(async (name) => {
  const action = (told ? actionsOf(readFileSync(told, 'utf8')) : actions).get(name) ?? { kind: 'pass' }
  note(name, action)
  if (action.kind === 'kill') process.kill(process.pid, 'SIGKILL')
  if (action.kind === 'error') throw new Error(`Failpoint ${name}.`)
  if (action.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, action.ms))
})
enableFailpoints(FAILPOINTS)
