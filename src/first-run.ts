import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { systemActor } from '#platform/db/system.ts'
import type { App } from './app.ts'
import { ROOT } from './config.ts'

export type Owner = { readonly email: string; readonly password: string }

const command = { actor: systemActor, requestId: 'first-run' }
const SAMPLE = join(ROOT, 'catalogue/sample.csv')

/** Makes what an empty shop lacks: products to play with, and the owner's account, whose password is answered this once. */
export async function firstRun(app: App, say: (line: string) => void): Promise<Owner | undefined> {
  const { catalog, users } = app.contexts
  if (app.config.sampleCatalogue && !(await catalog.firstProduct())) {
    say('importing the sample catalogue')
    await importSample(app)
  }
  return app.perform(command, (work) => users.createOwner(work, { email: app.config.ownerEmail, name: 'Owner' }))
}

async function importSample({ contexts, config }: App): Promise<void> {
  const outcome = await contexts.catalog.importProducts(command, {
    source: { name: 'sample.csv', bytes: () => createReadStream(SAMPLE) },
    options: {
      currency: config.currencies[0]!,
      publish: false,
      existing: 'update',
      archiveMissing: false,
      stock: false,
    },
  })
  if (outcome.status === 'refused') throw new Error(`the sample catalogue was refused: ${outcome.problem.detail}`)
}
