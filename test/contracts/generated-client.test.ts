import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import openapiTypescript, { astToString, type OpenAPI3 } from 'openapi-typescript'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type TestDatabase, testDatabase } from '../kit/database.ts'
import { type Cluster, startCluster } from '../kit/processes.ts'

const MODULES = resolve(import.meta.dirname, '../../node_modules')
const COMPILER = {
  ...{ target: 'es2024', lib: ['es2024', 'dom'], module: 'nodenext', types: ['node'], skipLibCheck: true },
  ...{ strict: true, noUncheckedIndexedAccess: true, noEmit: true, allowImportingTsExtensions: true },
}

const run = promisify(execFile)
let database: TestDatabase
let shop: Cluster
let folder = ''

beforeAll(async () => {
  database = await testDatabase()
  shop = await startCluster(database, { services: 1 })
  await shop.stock({ mug: 5 })
  folder = mkdtempSync(join(tmpdir(), 'stoa-client-'))
  symlinkSync(MODULES, join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER, include: ['*.ts'] }))
  cpSync(join(import.meta.dirname, 'generated-client/buy.ts'), join(folder, 'buy.ts'))
})
afterAll(async () => {
  await shop?.stop()
  await database.drop()
  rmSync(folder, { recursive: true, force: true })
})

test('a client generated from /openapi.json compiles, and buys', async () => {
  const [{ url }] = shop.services
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenAPI3
  writeFileSync(join(folder, 'api.ts'), astToString(await openapiTypescript(document)))
  const compiled = await run(process.execPath, [join(MODULES, 'typescript/bin/tsc'), '-p', folder]).catch(
    (error) => error,
  )
  expect(compiled.stdout).toBe('')
  const { stdout } = await run(process.execPath, [join(folder, 'buy.ts'), url])
  expect(JSON.parse(stdout)).toMatchObject({ status: 'paid', total: { currency: 'USD' } })
}, 120_000)
