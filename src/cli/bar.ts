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
