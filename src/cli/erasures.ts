import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import type { ErasureId, UserId } from '#kernel/ids.ts'
import { systemActor } from '#platform/db/system.ts'
import type { App } from '../app.ts'
import { tell, withShop } from './connect.ts'

export const command = new Command('erasures')
  .description('whom the shop forgot, as lines of JSON without personal data: keep them apart from the backups')
  .option('--apply <file>', 'forget them again, after a backup of before was restored')
  .action(({ apply }: { apply?: string }) =>
    withShop((app) => (apply ? applyErasures(app, apply) : printErasures(app))),
  )

async function printErasures({ contexts, database }: App): Promise<void> {
  const erasures = await contexts.users.listErasures(database.db)
  for (const { id, userId, emailIndex, erasedAt } of erasures)
    console.log(JSON.stringify({ id, userId, emailIndex: emailIndex?.toString('hex') ?? null, erasedAt }))
}

async function applyErasures({ contexts, perform }: App, file: string): Promise<void> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '')
  const erasures = lines.map((line, index) => erasureOf(line, `${file}, line ${index + 1}`))
  for (const erasure of erasures)
    await perform({ actor: systemActor, requestId: 'stoa erasures' }, (work) =>
      contexts.users.repeatErasure(work, erasure),
    )
  tell(`${erasures.length} erasures applied`)
}

/** One line of what this command prints; the complaint about another one names its place. */
function erasureOf(line: string, place: string) {
  const refuse = () => new Error(`${place} is not what \`stoa erasures\` prints`)
  let read: Record<string, unknown>
  try {
    read = JSON.parse(line)
  } catch {
    throw refuse()
  }
  const { id, userId, emailIndex, erasedAt } = read
  const at = new Date(String(erasedAt))
  const isIndex = emailIndex === null || (typeof emailIndex === 'string' && /^[0-9a-f]{64}$/.test(emailIndex))
  const isUser = userId === null || (typeof userId === 'string' && /^usr_/.test(userId))
  if (typeof id !== 'string' || !/^era_/.test(id) || !isIndex || !isUser || Number.isNaN(at.getTime())) throw refuse()
  return {
    id: id as ErasureId,
    userId: userId as UserId | null,
    emailIndex: typeof emailIndex === 'string' ? Buffer.from(emailIndex, 'hex') : null,
    erasedAt: at,
  }
}
