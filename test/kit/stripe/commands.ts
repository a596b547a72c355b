import type { Books, Draft, StripeEvent, StripeObject } from './books.ts'
import { cardOf } from './cards.ts'
import { settle } from './charges.ts'
import { closeDispute, openDispute } from './disputes.ts'
import { StripeFailure } from './failure.ts'
import { authenticate, endIntent } from './intents.ts'
import { sumUp } from './ledger.ts'
import { failRefund, finishRefund } from './refunds.ts'

export type Commands = ReturnType<typeof makeCommands>

/** What a test lets happen at Stripe without asking it through its API. Each tells the object as it is then. */
export function makeCommands(books: Books, onChange: (events: readonly StripeEvent[]) => void) {
  const change = (make: (draft: Draft) => StripeObject): StripeObject => {
    const draft = books.draft()
    const made = make(draft)
    onChange(draft.commit())
    return made
  }
  const intent = (draft: Draft, id: string) => draft.read('payment_intent', id, 'intent')

  return {
    /** The double's own witness of what moved. */
    ledger: () => sumUp(books.postings, (id) => books.find(id)?.metadata ?? {}),
    /** The buyer approves or refuses what an intent asks of them. */
    authenticate: (id: string, verdict: 'approve' | 'refuse') =>
      change((draft) => authenticate(draft, intent(draft, id), verdict)),
    /** What is processing comes to its end at once: as its card says, or declined when asked. */
    finish: (id: string, verdict?: 'decline') =>
      change((draft) => {
        const processing = intent(draft, id)
        if (processing.status !== 'processing') return processing
        const card = verdict === 'decline' ? cardOf('pm_processing_fail') : cardOf(processing.payment_method)
        return settle(draft, processing, card!)
      }),
    /** The authorisation is let go by the bank: the intent is cancelled as `expired`. */
    lapse: (id: string) =>
      change((draft) => {
        const held = intent(draft, id)
        return held.status === 'requires_capture' ? endIntent(draft, held, 'expired') : held
      }),
    /** The buyer's bank wants the money of an intent back. */
    dispute: (id: string, wanted: { readonly amount?: number; readonly reason?: string } = {}) =>
      change((draft) => openDispute(draft, draft.read('charge', intent(draft, id).latest_charge, 'charge'), wanted)),
    closeDispute: (id: string, verdict: 'won' | 'lost') =>
      change((draft) => closeDispute(draft, draft.read('dispute', id, 'dispute'), verdict)),
    /** A pending refund arrives. */
    finishRefund: (id: string) => change((draft) => finishRefund(draft, draft.read('refund', id, 'refund'))),
    /** A refund fails, also one that had succeeded: the money is the shop's again. */
    failRefund: (id: string) => change((draft) => failRefund(draft, draft.read('refund', id, 'refund'))),
    /** Lets time pass at Stripe: authorisations lapse, and idempotency keys are forgotten. */
    advance(ms: number): void {
      books.advance(ms)
      for (const held of books.all('payment_intent')) {
        if (held.status !== 'requires_capture') continue
        const until = books.find(held.latest_charge)?.payment_method_details.card.capture_before
        if (until * 1000 <= books.nowMs()) this.lapse(held.id)
      }
    },
  }
}

/** Runs a command by its name, as the control port is asked; fails for one that is none. */
export function run(commands: Commands, name: string, args: readonly unknown[]): unknown {
  const command = (commands as Record<string, unknown>)[name]
  if (typeof command !== 'function' || !Object.hasOwn(commands, name))
    throw new StripeFailure(404, { type: 'invalid_request_error', message: `No such command: ${name}` }, false)
  return command.apply(commands, args) ?? {}
}
