import { readFileSync } from 'node:fs'

/** How long a process (this one unless named) was ready to run, in ms, while others had the processors; 0 where the kernel does not say. */
export function starvedMs(pid: number | 'self' = 'self'): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
