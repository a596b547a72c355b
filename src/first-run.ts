import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { systemActor } from '#platform/db/system.ts'
import type { App } from './app.ts'
import { ROOT } from './config.ts'

export type Owner = { readonly email: string; readonly password: string }

const command = { actor: systemActor, requestId: 'first-run' }
const SAMPLE = join(ROOT, 'catalogue/sample.csv')

/** Gives a shop without products some to play with. */
export async function stockShelves(app: App, say: (line: string) => void): Promise<void> {
  if (!app.config.sampleCatalogue || (await app.contexts.catalog.firstProduct())) return
  say('importing the sample catalogue')
  await importSample(app)
}

/** Makes the owner's account where there is none, and answers its password this once. */
export const makeOwner = ({ contexts, config, perform }: App): Promise<Owner | undefined> =>
  perform(command, (work) => contexts.users.createOwner(work, { email: config.ownerEmail, name: 'Owner' }))

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
