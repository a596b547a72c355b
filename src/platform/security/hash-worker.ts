import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { hashSync } from '@node-rs/argon2'
import type { HashTask } from './hash-lanes.ts'
import { readHash } from './older-hashes.ts'

/** Where cores are short, who buys goes before who logs in. Only on Linux is this the priority of this thread alone. */
function giveWay(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(0, 10)
  } catch {
    // A sandbox that forbids it costs the advantage, not the login.
  }
}
giveWay()

parentPort?.on('message', ({ password, ...task }: HashTask) => {
  if ('make' in task) return parentPort?.postMessage(hashSync(stable(password), task.make))
  return parentPort?.postMessage(fits(task.against, password))
})

/** One form for the same characters however a keyboard composes them (NIST 800-63B); nothing is trimmed or cut. */
const stable = (password: string) => password.normalize('NFKC')

/** In our form; where it differs also as given, which is what other systems have hashed. */
function fits(storedHash: string, password: string): boolean {
  const read = readHash(storedHash)
  if ('problem' in read) return false
  const inForm = stable(password)
  return read.isRight(inForm) || (inForm !== password && read.isRight(password))
}
