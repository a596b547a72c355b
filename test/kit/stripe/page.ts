import type { StripeObject } from './books.ts'

/** The page of the buyer's bank, with its two buttons; when nothing is asked of the buyer, it says how things stand. */
export const bankPage = ({ id, status, amount, currency }: StripeObject): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>3D Secure test page</title><p>${id}: ${amount} ${currency}</p>${
    status === 'requires_action'
      ? `<form method="post" action="/pay/${id}/approve"><button>Complete</button></form>
<form method="post" action="/pay/${id}/refuse"><button>Fail</button></form>`
      : `<p>This payment is ${status.replaceAll('_', ' ')}.</p>`
  }</html>`

/** Where the buyer goes on after the bank, as Stripe tells it. */
export function returnUrlOf({ id, client_secret, next_action }: StripeObject, verdict: 'approve' | 'refuse') {
  const wanted = next_action?.redirect_to_url?.return_url
  if (typeof wanted !== 'string') return undefined
  const url = new URL(wanted)
  url.searchParams.set('payment_intent', id)
  url.searchParams.set('payment_intent_client_secret', client_secret)
  url.searchParams.set('redirect_status', verdict === 'approve' ? 'succeeded' : 'failed')
  return url.href
}
