import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command, InvalidArgumentError } from 'commander'
import { toDecimal } from '#kernel/money.ts'
import { makeBar } from './bar.ts'
import { tell, withShop } from './connect.ts'

type Options = { from?: Date; before?: Date; out?: string; json?: boolean }

export const command = new Command('ledger')
  .description('write the books as CSV for accounting, and tell what the amounts come to')
  .option('--from <time>', 'booked then or later: a day, UTC, or a moment such as 2026-11-25T12:00:00Z', parseTime)
  .option('--before <time>', 'booked earlier than that (default: now)', parseTime)
  .option('--out <file>', 'where to; standard output when left out')
  .option('--json', 'tell how many and how much as JSON, beside the file')
  .action(({ from, before = new Date(), out, json }: Options) =>
    withShop(async (app) => {
      const bar = makeBar('{bar}  {value} of {total} entries')
      const amountMinor: Record<string, number> = {}
      let entries = 0
      const rows = app.contexts.payments.exportLedger({ from, before }, (written, total) => {
        for (const { amount } of written)
          amountMinor[amount.currency] = (amountMinor[amount.currency] ?? 0) + amount.amountMinor
        entries += written.length
        bar.show(entries, total)
      })
      await pipeline(Readable.from(rows), out ? createWriteStream(out) : process.stdout, { end: out !== undefined })
      bar.end()
      const sums = Object.entries(amountMinor).map(([currency, sum]) => ({ amountMinor: sum, currency }))
      if (json && out) console.log(JSON.stringify({ entries, sums }))
      else tell([`${entries} entries`, ...sums.map((sum) => `${toDecimal(sum)} ${sum.currency}`)].join(', '))
    }),
  )

function parseTime(text: string): Date {
  const time = new Date(text)
  if (!/^\d{4}-\d\d-\d\d(T.*Z)?$/.test(text) || Number.isNaN(time.getTime()))
    throw new InvalidArgumentError('takes a day such as 2026-11-25, or a moment such as 2026-11-25T12:00:00Z')
  return time
}
