import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject } from 'vitest'
import { boundRole } from '#platform/db/roles.ts'
import { roleUrl } from './global-setup.ts'

export type TestDatabase = {
  /** As the service connects: stoa_app, without DDL. */
  readonly url: string
  /** As migrations connect: stoa_owner. */
  readonly ownerUrl: string
  drop(): Promise<void>
}

/** A database of one's own, migrated and empty: a clone of the run's template. One per test file; drop it in `afterAll`. */
export const testDatabase = (): Promise<TestDatabase> => makeDatabase(inject('testServer').template)

/** One that no migration has touched. */
export const bareDatabase = (): Promise<TestDatabase> => makeDatabase('template0')

async function makeDatabase(template: string): Promise<TestDatabase> {
  const server = inject('testServer')
  const name = `${server.template}_${randomBytes(4).toString('hex')}`
  await administer(server.adminUrl, `create database ${name} owner stoa_owner template ${template}`)
  const [url, ownerUrl] = [roleUrl(server, 'stoa_app', name), roleUrl(server, 'stoa_owner', name)]
  if (template !== 'template0') await boundRole(url, ownerUrl)
  return { url, ownerUrl, drop: () => administer(server.adminUrl, `drop database ${name} with (force)`) }
}

async function administer(adminUrl: string, statement: string): Promise<void> {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(statement).finally(() => admin.end())
}
