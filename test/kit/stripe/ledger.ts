/** Where money can be: with the buyer, in the shop's balance, on its way back, or withheld for a dispute. */
type Account = 'buyer' | 'balance' | 'refunds-pending' | 'disputed' | 'lost'

/** One movement of money between two accounts, in Stripe's minor units: double entry, append-only. */
export type Posting = {
  readonly at: number
  readonly intent: string
  readonly cause: string
  readonly currency: string
  readonly amount: number
  readonly from: Account
  readonly to: Account
}

/** What became of the money, in Stripe's minor units. `refunded` is what is with the buyer again, `disputed` what is withheld. */
export type Sums = {
  captured: number
  refunded: number
  refundsPending: number
  disputed: number
  lost: number
  balance: number
}

export type StripeLedger = {
  /** By PaymentIntent. */
  readonly intents: Readonly<Record<string, Sums & { currency: string; metadata: Record<string, string> }>>
  /** By currency. */
  readonly totals: Readonly<Record<string, Sums>>
  readonly postings: readonly Posting[]
}

/** Whose money, and which: of a charge, or of a dispute about it. */
export const moneyOf = (about: { readonly [field: string]: any }): { intent: string; currency: string } => ({
  intent: about.payment_intent,
  currency: about.currency,
})

/** Adds postings up, per intent and in total: the double's own witness of what moved. */
export function sumUp(
  postings: readonly Posting[],
  metadataOf: (intent: string) => Record<string, string>,
): StripeLedger {
  const intents: Record<string, Sums & { currency: string; metadata: Record<string, string> }> = {}
  const totals: Record<string, Sums> = {}
  for (const posting of postings) {
    const { intent, currency } = posting
    intents[intent] ??= { currency, metadata: metadataOf(intent), ...nothing() }
    totals[currency] ??= nothing()
    for (const sums of [intents[intent], totals[currency]]) add(sums, posting)
  }
  return { intents, totals, postings }
}

const nothing = (): Sums => ({ captured: 0, refunded: 0, refundsPending: 0, disputed: 0, lost: 0, balance: 0 })

function add(sums: Sums, { cause, amount, from, to }: Posting): void {
  const move = (account: Account, by: number) => {
    if (account === 'balance') sums.balance += by
    if (account === 'refunds-pending') sums.refundsPending += by
    if (account === 'disputed') sums.disputed += by
    if (account === 'lost') sums.lost += by
    if (account === 'buyer' && cause.startsWith('ch_')) sums.captured -= by
    if (account === 'buyer' && cause.startsWith('re_')) sums.refunded += by
  }
  move(from, -amount)
  move(to, amount)
}
