import { stringify } from 'csv-stringify/sync'
import { toDecimal } from '#kernel/money.ts'
import type { Reader } from '#platform/db/work.ts'
import { countEntries, entriesAfter, type LedgerEntryView, type LedgerRange } from './ledger-views.ts'

/** Writes entries as CSV; `watch` is shown each piece of them that was written, and how many there are in all. */
export type ExportLedger = (
  range: LedgerRange,
  watch?: (entries: readonly LedgerEntryView[], total: number) => void,
) => AsyncGenerator<string>

const BATCH = 1_000
const COLUMNS: Readonly<Record<string, (entry: LedgerEntryView) => string | number | null>> = {
  bookedAt: ({ bookedAt }) => bookedAt,
  entry: ({ id }) => id,
  order: ({ orderNumber }) => orderNumber,
  payment: ({ paymentId }) => paymentId,
  refund: ({ refundId }) => refundId,
  dispute: ({ providerDisputeId }) => providerDisputeId,
  kind: ({ kind }) => kind,
  debit: ({ debit }) => debit,
  credit: ({ credit }) => credit,
  currency: ({ amount }) => amount.currency,
  amountMinor: ({ amount }) => amount.amountMinor,
  amount: ({ amount }) => toDecimal(amount),
}

/** Makes the export for accounting: every entry of a range once, in flat memory, in the order they were booked. */
export const makeLedgerExport = (db: Reader): ExportLedger =>
  async function* exportLedger(range, watch) {
    const total = watch ? await countEntries(db, range) : 0
    yield lines([Object.keys(COLUMNS)])
    for (let afterId: number | undefined; ; ) {
      const entries = await entriesAfter(db, range, afterId, BATCH)
      if (entries.length === 0) return
      afterId = entries.at(-1)?.id
      yield lines(entries.map((entry) => Object.values(COLUMNS).map((cell) => cell(entry))))
      watch?.(entries, total)
    }
  }

/** A cell that a spreadsheet would take for a formula begins with an apostrophe. */
const lines = (rows: readonly (readonly (string | number | null)[])[]): string =>
  stringify([...rows], { escape_formulas: true })
