import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { makeBar } from './bar.ts'
import { tell, withShop } from './connect.ts'
import { command as ledger } from './export-ledger.ts'
import { parseCurrency } from './import.ts'

export const command = new Command('export')
  .description(
    'write the catalogue as a Shopify product CSV, which imports back to the same catalogue; or, with `ledger`, the books',
  )
  .argument('[file]', 'where to; standard output when left out')
  .option('--currency <code>', "what the columns without a currency are in (default: the shop's first)", parseCurrency)
  .action((file: string | undefined, { currency }: { currency?: string }) =>
    withShop(async (app) => {
      const bar = makeBar('{bar}  {value} of {total} products')
      let written = 0
      const rows = app.contexts.catalog.exportProducts(currency ?? app.config.currencies[0]!, (done, products) => {
        written = done
        bar.show(done, products)
      })
      await pipeline(Readable.from(rows), file ? createWriteStream(file) : process.stdout, { end: file !== undefined })
      bar.end()
      tell(`${written} products`)
    }),
  )
  .addCommand(ledger)
