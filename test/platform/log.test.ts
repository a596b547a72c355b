import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { expect, test, vi } from 'vitest'
import { makeLog } from '#platform/telemetry/log.ts'

test.each([
  ['an API key', 'sk_0123456789abcdefghij'],
  ["a provider's key", 'sk_live_0123456789abcdef'],
  ["a provider's restricted key", 'rk_live_0123456789abcdef'],
  ['a secret of webhooks', 'whsec_0123456789abcdef'],
  ["a buyer's secret", 'pi_3ABC_secret_0123456789abcdef'],
])('no error tells %s', (_what, secret) => {
  const lines: string[] = []
  const write = vi
    .spyOn(fs, 'writeSync')
    .mockImplementation((_, text) => lines.push(String(text)) && String(text).length)
  try {
    makeLog({ level: 'error', sync: true }).error({ err: new Error(`(${secret}) is not known`) }, 'failed')
  } finally {
    write.mockRestore()
  }
  expect(lines.join('')).toContain('([redacted]) is not known')
})

const CHATTY = `
  import { makeLog } from '#platform/telemetry/log.ts'
  const log = makeLog({ level: 'info' })
  process.stdin.once('data', () => {
    for (let line = 0; line < 10_000; line += 1) log.info('many words, so that no buffer on the way holds them all')
    process.exit(3)
  })`

test.each(['gone', 'hung'])('a process ends though whoever reads its log is %s', async (reader) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', CHATTY], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  try {
    if (reader === 'gone') child.stdout.destroy()
    child.stdin.end('go')
    const [code] = await once(child, 'exit', { signal: AbortSignal.timeout(10_000) })
    expect(code).toBe(3)
  } finally {
    child.kill('SIGKILL')
  }
})
