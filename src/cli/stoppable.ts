/** Runs what Ctrl-C or SIGTERM ends early, cleaning up after itself; `left` says in what state things are then. */
export async function stoppable<Outcome>(
  left: string,
  run: (signal: AbortSignal) => Promise<Outcome>,
): Promise<Outcome> {
  const stop = new AbortController()
  const onSignal = () => stop.abort(new Error(`stopped; ${left}`))
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal)
  try {
    return await run(stop.signal)
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal)
  }
}
