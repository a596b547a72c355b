/**
 * Named places where a test may break the process on purpose: `order.committed=kill;payment.before-call=error;stock.held=delay:500`.
 * Off unless the composition enables them, which the configuration refuses in production.
 */
type Action = { readonly kind: 'kill' } | { readonly kind: 'error' } | { readonly kind: 'delay'; readonly ms: number }

let actions: ReadonlyMap<string, Action> = new Map()

/** Enables the failpoints of a specification such as `name=kill;other=delay:500`; an empty one disables all. Throws a RangeError for anything else. */
export function enableFailpoints(spec: string): void {
  const entries = spec.split(';').filter((entry) => entry.trim() !== '')
  actions = new Map(entries.map(readEntry))
}

function readEntry(entry: string): [string, Action] {
  const match = /^\s*([a-z][a-z.-]*)=(?:(kill|error)|delay:(\d{1,6}))\s*$/.exec(entry)
  if (!match) throw new RangeError(`"${entry}" is not a failpoint: name=kill, name=error or name=delay:<ms>.`)
  const [, name = '', kind, ms] = match
  return [name, kind === undefined ? { kind: 'delay', ms: Number(ms) } : { kind: kind as 'kill' | 'error' }]
}

/** Does what was asked for at this place: nothing, wait, throw, or die as by `kill -9`. */
export async function failpoint(name: string): Promise<void> {
  const action = actions.get(name)
  if (action === undefined) return
  if (action.kind === 'kill') process.kill(process.pid, 'SIGKILL')
  if (action.kind === 'error') throw new Error(`Failpoint ${name}.`)
  if (action.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, action.ms))
}
