import type { SandboxPayment } from './ledger.ts'

/** The page where a buyer approves or refuses, as a bank's would be. */
export const actionPage = (payment: SandboxPayment): string =>
  html(`<h1>Approve this payment?</h1>${summary(payment)}
<form method="post" action="/pay/${payment.id}/approve"><button autofocus>Approve</button></form>
<form method="post" action="/pay/${payment.id}/refuse"><button>Refuse</button></form>`)

/** What a buyer sees when nothing is asked of them. */
export const donePage = (payment: SandboxPayment): string =>
  html(
    `<h1>This payment is ${payment.status.replaceAll('_', ' ')}</h1>${summary(payment)}<p>You can go back to the shop.</p>`,
  )

// Id and currency are the sandbox's own and checked; nothing here is a caller's free text.
const summary = ({ id, amount, currency }: SandboxPayment) =>
  `<p>${new Intl.NumberFormat('en', { style: 'currency', currency }).format(amount / 10 ** digits(currency))} · ${id}</p>`

const digits = (currency: string) =>
  new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2

const html = (body: string) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox bank</title>
<style>body{font:16px system-ui;max-width:24rem;margin:4rem auto}form{display:inline}</style>${body}</html>`
