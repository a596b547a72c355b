import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import type { TestProject } from 'vitest/node'
import { startEmbedded } from '#platform/db/embedded.ts'
import { migrate } from '#platform/db/migrate.ts'
import { makeShopDatabase } from '#platform/db/roles.ts'
import { migrateJobs } from '#platform/jobs/migrate.ts'

/** One PostgreSQL for the whole run, and in it a migrated database that each test file clones. */
export type TestServer = { readonly adminUrl: string; readonly template: string; readonly password: string }

declare module 'vitest' {
  export interface ProvidedContext {
    testServer: TestServer
  }
}

const log = () => {}

/** Starts an embedded PostgreSQL, or takes the one that TEST_DATABASE_URL names (a superuser's). */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startServer()
  const template = `stoa_test_${randomBytes(4).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  const admin = new pg.Client({ connectionString: server.adminUrl })
  await admin.connect()
  await makeShopDatabase(admin, template)
  for (const role of ['stoa_owner', 'stoa_app']) await admin.query(`alter role ${role} password '${password}'`)
  const shared = { adminUrl: server.adminUrl, template, password }
  const ownerUrl = roleUrl(shared, 'stoa_owner', template)
  await migrate({ ownerUrl, log })
  await migrateJobs(ownerUrl)
  project.provide('testServer', shared)
  return async () => {
    await admin.query(`drop database ${template} with (force)`)
    await admin.end()
    await server.stop()
  }
}

/** The address of a database on the run's server, for one of the shop's roles. */
export function roleUrl({ adminUrl, password }: TestServer, role: 'stoa_owner' | 'stoa_app', database: string): string {
  const url = new URL(adminUrl)
  url.username = role
  url.password = password
  url.pathname = `/${database}`
  return url.href
}

async function startServer(): Promise<{ adminUrl: string; stop(): Promise<void> }> {
  const outside = process.env.TEST_DATABASE_URL
  if (outside) return { adminUrl: outside, stop: async () => {} }
  const dataDir = await mkdtemp(join(tmpdir(), 'stoa-test-'))
  const embedded = await startEmbedded({ dataDir, log, durable: false })
  const adminUrl = new URL(embedded.ownerUrl)
  adminUrl.username = 'postgres'
  adminUrl.pathname = '/postgres'
  const stop = () => embedded.stop().then(() => rm(dataDir, { recursive: true, force: true }))
  return { adminUrl: adminUrl.href, stop }
}
