import { systemActor } from '#platform/db/system.ts'
import type { App } from './app.ts'

export type Owner = { readonly email: string; readonly password: string }

/** Makes what an empty shop lacks: the owner's account, whose password is answered this once. */
export async function firstRun(app: App): Promise<Owner | undefined> {
  const { users } = app.contexts
  return app.perform({ actor: systemActor, requestId: 'first-run' }, (work) =>
    users.createOwner(work, { email: app.config.ownerEmail, name: 'Owner' }),
  )
}
