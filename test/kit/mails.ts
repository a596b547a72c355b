import type { TestShop } from './shop.ts'

export type ShownMail = { readonly to: string; readonly subject: string; readonly text: string; readonly html: string }

/** Does all that is due and sends the mails of it; resolves with what the dev mailbox has for this address, the oldest first. */
export async function mailsTo({ app, send }: TestShop, email: string): Promise<ShownMail[]> {
  await app.settle()
  await app.runJobs()
  const { body } = await send('GET', '/dev/mailbox.json')
  return (body as ShownMail[]).filter(({ to }) => to === email).toReversed()
}
