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
