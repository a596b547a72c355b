import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Gives a file or folder its name so that it stays: without the folder's own write a crash of the machine could take it back. */
export async function renameForGood(from: string, to: string): Promise<void> {
  await rename(from, to)
  const folder = await open(dirname(to))
  await folder.sync().finally(() => folder.close())
}
