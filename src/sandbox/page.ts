import type { SandboxPayment } from './ledger.ts'
import { leftOf } from './refunds.ts'

/** A payment as its buyer's bank shows it: to approve or refuse, to dispute, and the end of a dispute. */
export function bankPage(payment: SandboxPayment): string {
  const { status, disputes } = payment
  if (status === 'requires_action')
    return html(
      `<h1>Approve this payment?</h1>${summary(payment)}${buttons(payment, { approve: 'Approve', refuse: 'Refuse' })}`,
    )
  const open = disputes.some((dispute) => dispute.status === 'open')
  const verdicts: Record<string, string> = open
    ? { won: 'The shop wins', lost: 'The shop loses' }
    : status === 'succeeded' && leftOf(payment) > 0
      ? { dispute: 'Dispute it' }
      : {}
  return html(`<h1>This payment is ${open ? 'disputed' : status.replaceAll('_', ' ')}</h1>${summary(payment)}
${buttons(payment, verdicts)}<p>You can go back to the shop.</p>`)
}

const buttons = ({ id }: SandboxPayment, verdicts: Readonly<Record<string, string>>) =>
  Object.entries(verdicts)
    .map(([verdict, label]) => `<form method="post" action="/pay/${id}/${verdict}"><button>${label}</button></form>`)
    .join('\n')

// Id and currency are the sandbox's own and checked; nothing here is a caller's free text.
const summary = ({ id, amount, currency }: SandboxPayment) =>
  `<p>${new Intl.NumberFormat('en', { style: 'currency', currency }).format(amount / 10 ** digits(currency))} · ${id}</p>`

const digits = (currency: string) =>
  new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2

const html = (body: string) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox bank</title>
<style>body{font:16px system-ui;max-width:24rem;margin:4rem auto}form{display:inline}</style>${body}</html>`
