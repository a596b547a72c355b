import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { testDatabase } from '../../kit/database.ts'
import { sqlOf } from './sql.ts'

const CLI = join(import.meta.dirname, '../../../src/cli.ts')
const PEOPLE = 10_000
const HASH = '$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'

test('killed with SIGKILL in the middle, the same command goes on and takes each person once', {
  timeout: 120_000,
}, async () => {
  const database = await testDatabase()
  const folder = mkdtempSync(join(tmpdir(), 'stoa-people-'))
  const file = join(folder, 'people.csv')
  const env = {
    ...process.env,
    DATABASE_URL: database.url,
    DATABASE_OWNER_URL: database.ownerUrl,
    STOA_DATA_DIR: folder,
    SANDBOX_URL: 'http://127.0.0.1:9',
  }
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [CLI, 'migrate-users', file, ...args], { env, encoding: 'utf8' })
  const count = async () => (await sqlOf(database, 'select id from users.users')).length
  try {
    const rows = Array.from({ length: PEOPLE }, (_, index) => `person${index}@shop.example,Person ${index},${HASH}`)
    writeFileSync(file, ['email,name,password_hash', ...rows].join('\n'))
    const first = spawn(process.execPath, [CLI, 'migrate-users', file], { env, stdio: 'ignore' })
    const gone = new Promise((resolve) => first.once('exit', resolve))
    while ((await count()) === 0 && first.exitCode === null) await pause(5)
    first.kill('SIGKILL')
    await gone
    const done = await count()
    expect(done).toBeGreaterThan(0)
    expect(done).toBeLessThan(PEOPLE)

    const second = run('--json')
    expect(second.status).toBe(0)
    expect(JSON.parse(second.stdout)).toMatchObject({
      status: 'finished',
      report: { people: PEOPLE, created: PEOPLE - done, existing: done, refused: [] },
    })
    expect(await count()).toBe(PEOPLE)
    const [books] = await sqlOf<{ addresses: number; audited: number }>(
      database,
      `select (select count(distinct email_index)::int from users.users) as addresses,
        (select sum((after->>'created')::int)::int from platform.audit_log where action = 'users.import') as audited`,
    )
    expect(books).toEqual({ addresses: PEOPLE, audited: PEOPLE })

    writeFileSync(file, `email\nperson1@shop.example\nsecret-nonsense\n`)
    const third = run()
    expect(third.status).toBe(1)
    expect(third.stdout).toContain('2 people, 0 created, 1 there already, 1 refused')
    expect(third.stdout).toContain('row 3, email: is not an e-mail address')
    expect(third.stdout + third.stderr).not.toMatch(/person1|secret/)
  } finally {
    await database.drop()
    rmSync(folder, { recursive: true, force: true })
  }
})
