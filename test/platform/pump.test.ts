import { expect, test, vi } from 'vitest'
import { makePump } from '#platform/jobs/pump.ts'
import { makeLog } from '#platform/telemetry/log.ts'

const log = makeLog({ level: 'silent', sync: true })
const HOURLY = { name: 'work', everyMs: 3_600_000, log }

test('work that says that there is more is done again at once, and not when there is none', async () => {
  let left = 3
  const pump = makePump({ ...HOURLY, run: async () => --left > 0 })
  pump.start()
  await vi.waitFor(() => expect(left).toBe(0))
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(left).toBe(0)
  await pump.stop()
})

test('work that never ends can be stopped', async () => {
  let bouts = 0
  const pump = makePump({
    ...HOURLY,
    run: async () => {
      bouts += 1
      return true
    },
  })
  pump.start()
  await vi.waitFor(() => expect(bouts).toBeGreaterThan(2))
  await pump.stop()
  const ended = bouts
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(bouts).toBe(ended)
})
