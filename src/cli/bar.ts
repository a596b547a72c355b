import { Presets, SingleBar } from 'cli-progress'

/** A progress bar on a terminal; nothing elsewhere. */
export function makeBar(format: string): { show: (done: number, total: number) => void; end: () => void } {
  const bar = new SingleBar(
    { format, clearOnComplete: true, noTTYOutput: false, stream: process.stderr },
    Presets.shades_classic,
  )
  let started = false
  return {
    show: (done, total) => {
      if (started) bar.update(done)
      else bar.start(total, done)
      started = true
    },
    end: () => bar.stop(),
  }
}

/** Runs what reads a file with a progress bar, until it ends or Ctrl-C stops it; the same command goes on from there. */
export async function watchFile<Outcome>(
  format: string,
  run: (watched: { signal: AbortSignal; onProgress: (done: number, total: number) => void }) => Promise<Outcome>,
): Promise<Outcome> {
  const bar = makeBar(format)
  const stop = new AbortController()
  const onSignal = () => stop.abort(new Error('stopped; the same command goes on from here'))
  process.once('SIGINT', onSignal)
  try {
    return await run({ signal: stop.signal, onProgress: bar.show })
  } finally {
    process.off('SIGINT', onSignal)
    bar.end()
  }
}
