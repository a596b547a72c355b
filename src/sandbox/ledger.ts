import { randomBytes } from 'node:crypto'
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'

/** The sandbox's own books: what it holds about payments, in its own words. Amounts in minor units. */
export type SandboxPayment = {
  readonly id: string
  readonly reference: string
  readonly amount: number
  readonly currency: string
  readonly capture: 'automatic' | 'manual'
  readonly createdAt: string
  /** What it was last confirmed with: it says how that went, and what comes afterwards. */
  token: string | null
  status: 'requires_payment_method' | 'requires_action' | 'processing' | 'requires_capture' | 'succeeded' | 'cancelled'
  /** When money that is only authorised is let go. */
  authorisedUntil: string | null
  amountCaptured: number
  /** By refunds that are pending or have succeeded. */
  amountRefunded: number
  refunds: readonly SandboxRefund[]
  disputes: readonly SandboxDispute[]
  metadata: Record<string, string>
  returnUrl: string | null
  nextAction: { type: 'redirect'; url: string } | null
  lastError: { code: string; message: string } | null
}

/** The buyer's bank wants the money back: while it is open, and for good when it is lost, the amount is not the shop's. */
export type SandboxDispute = {
  readonly id: string
  readonly payment: string
  readonly amount: number
  readonly currency: string
  readonly reason: string
  readonly status: 'open' | 'won' | 'lost'
  readonly createdAt: string
}

export type SandboxRefund = {
  readonly id: string
  readonly payment: string
  readonly amount: number
  readonly currency: string
  readonly status: 'pending' | 'succeeded' | 'failed'
  readonly metadata: Record<string, string>
  readonly createdAt: string
}

/** One thing that happened, as its webhook tells it. */
export type SandboxEvent = {
  readonly id: string
  readonly type: string
  readonly createdAt: string
  readonly data: {
    readonly payment: SandboxPayment
    readonly refund?: SandboxRefund
    readonly dispute?: SandboxDispute
  }
}

/** The first answer to an Idempotency-Key, and what was asked with it. */
export type StoredAnswer = { readonly asked: string; readonly status: number; readonly body: string }

type Entry =
  | { payment: SandboxPayment }
  /** Of journals from before payments had their refunds in them. */
  | { refund: SandboxRefund }
  | { event: SandboxEvent }
  | { delivered: string }
  | { key: string; answer: StoredAnswer }

export type Ledger = ReturnType<typeof openLedger>

/** An id of the sandbox's own: `sbx_pay_…`. */
export const sandboxId = (kind: 'pay' | 'ref' | 'evt' | 'dis'): string =>
  `sbx_${kind}_${randomBytes(12).toString('hex')}`

/**
 * Opens the books, from their journal when there is one. A change is in memory and handed to the kernel before it is
 * answered, so that `kill -9` of the process loses nothing; nothing is synced to the disk.
 */
export function openLedger(journalFile: string | undefined) {
  const payments = new Map<string, SandboxPayment>()
  const byReference = new Map<string, string[]>()
  const ofPart = new Map<string, string>()
  const undelivered = new Map<string, SandboxEvent>()
  const answers = new Map<string, StoredAnswer>()

  const embed = (refund: SandboxRefund): void => {
    const payment = payments.get(refund.payment)
    if (payment && !payment.refunds.some(({ id }) => id === refund.id))
      apply({ payment: { ...payment, refunds: [...payment.refunds, refund] } })
  }

  const apply = (entry: Entry): void => {
    if ('payment' in entry) {
      const { id, reference, refunds, disputes } = entry.payment
      if (!payments.has(id)) {
        const same = byReference.get(reference)
        if (same) same.push(id)
        else byReference.set(reference, [id])
      }
      payments.set(id, entry.payment)
      for (const part of [...refunds, ...disputes]) ofPart.set(part.id, id)
    } else if ('refund' in entry) embed(entry.refund)
    else if ('event' in entry) undelivered.set(entry.event.id, entry.event)
    else if ('delivered' in entry) undelivered.delete(entry.delivered)
    else answers.set(entry.key, entry.answer)
  }

  const journal =
    journalFile === undefined
      ? undefined
      : openJournal(journalFile, apply, () => [
          ...[...payments.values()].map((payment) => ({ payment })),
          ...[...undelivered.values()].map((event) => ({ event })),
          ...[...answers].map(([key, answer]) => ({ key, answer })),
        ])

  return {
    payments: payments as ReadonlyMap<string, SandboxPayment>,
    undelivered: undelivered as ReadonlyMap<string, SandboxEvent>,
    answers: answers as ReadonlyMap<string, StoredAnswer>,
    ofReference: (reference: string): SandboxPayment[] =>
      (byReference.get(reference) ?? []).map((id) => payments.get(id)!),
    /** The payment of a refund or a dispute. */
    ofPart: (id: string): SandboxPayment | undefined => payments.get(ofPart.get(id) ?? ''),
    /** Keeps entries together: all of them or, if the process dies before, none. */
    keep(...entries: readonly Entry[]): void {
      if (journal !== undefined) writeSync(journal, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
      for (const entry of entries) apply(entry)
    },
    close(): void {
      if (journal !== undefined) closeSync(journal)
    },
  }
}

/** An entry, of an older journal too, with all that a payment has by now. */
const completed = (entry: Entry): Entry =>
  'payment' in entry ? { payment: { ...SINCE_ADDED, ...entry.payment } } : entry

const SINCE_ADDED: Partial<SandboxPayment> = { token: null, authorisedUntil: null, refunds: [], disputes: [] }

/** Reads the journal back and rewrites it as what it amounts to, so that it does not grow over restarts. */
function openJournal(file: string, apply: (entry: Entry) => void, snapshot: () => Entry[]): number {
  if (existsSync(file)) {
    const lines = readFileSync(file, 'utf8').split('\n')
    // The last element is empty, or a line that a dying process did not finish and therefore never answered for.
    for (const line of lines.slice(0, -1)) apply(completed(JSON.parse(line) as Entry))
  }
  writeFileSync(`${file}.new`, '')
  for (const entry of snapshot()) appendFileSync(`${file}.new`, `${JSON.stringify(entry)}\n`)
  renameSync(`${file}.new`, file)
  return openSync(file, 'a')
}
