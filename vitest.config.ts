import { defineConfig } from 'vitest/config'

/** Tests that compare times run after the others, one file at a time: neighbours on the same cores would be what they measure. */
const TIMED = [
  'test/chaos/migrations-under-load.test.ts',
  'test/chaos/failpoints.test.ts',
  'test/chaos/events.test.ts',
  'test/chaos/late-events.test.ts',
  'test/chaos/crashes.test.ts',
  'test/chaos/any-seed.test.ts',
  'test/chaos/login-flood.test.ts',
  'test/chaos/overload.test.ts',
  'test/chaos/poison.test.ts',
  'test/chaos/rolling-restarts.test.ts',
  'test/chaos/slow-provider.test.ts',
  'test/security/enumeration.test.ts',
]

export default defineConfig({
  test: {
    globalSetup: ['test/kit/global-setup.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    // Of whole shops that are broken at once, in any-seed.test.ts.
    maxConcurrency: 5,
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...TIMED],
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'timed', include: TIMED, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})
