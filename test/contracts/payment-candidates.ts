import { newId } from '#platform/ids.ts'
import type { Charge, PaymentProvider } from '../../src/contexts/payments/application/payment-provider.ts'
import type { ProviderPayment } from '../../src/contexts/payments/domain/provider-payment.ts'
import { makeSandboxClient } from '../../src/contexts/payments/infrastructure/sandbox-client.ts'
import { makeStripeClient } from '../../src/contexts/payments/infrastructure/stripe-client.ts'
import { startSandbox } from '../../src/sandbox/server.ts'
import { type Inbox, openInbox } from '../kit/inbox.ts'
import { startStripe } from '../kit/stripe/server.ts'

/** What a provider need not have: a bank that says no, a page where one approves, a wire that breaks, webhooks. */
export type Ability = 'declines' | 'approval' | 'network' | 'webhooks'

type Outcome = 'ok' | 'declined' | 'requiresAction' | 'processing' | 'invalid'

/** What a provider has to offer to be held to the contract: itself, tokens by outcome, its own books and its webhooks. */
export type Candidate = {
  readonly provider: PaymentProvider
  /** The same with a key that the provider does not know. */
  readonly stranger: PaymentProvider
  readonly lacks?: readonly Ability[]
  readonly tokens: Record<Outcome, string>
  /** Lets money come in that no charge brings at once. */
  receive?(waiting: ProviderPayment): Promise<ProviderPayment>
  /** The token of a payment that is made and not answered, or that fails with an error before it is made. */
  failing(how: 'timeout' | 'error'): string
  /** What the provider itself says it took and gave back for one of our payments, and in how many objects. */
  witness(reference: string): Promise<{ objects: number; captured: number; refunded: number }>
  readonly inbox: Inbox
  /** Lets the buyer approve or refuse on the provider's page. */
  act(redirectUrl: string, verdict: 'approve' | 'refuse'): Promise<void>
  /** What happens at the provider without being asked for. */
  readonly fate?: Fate
  close(): Promise<void>
}

export type Fate = {
  readonly pendingRefund: string
  lapse(id: string): Promise<unknown>
  finishRefund(refundId: string): Promise<unknown>
  failRefund(refundId: string): Promise<unknown>
  dispute(id: string, amount?: number): Promise<unknown>
  closeDispute(disputeId: string, verdict: 'won' | 'lost'): Promise<unknown>
}

export const TIMEOUT_MS = 1_000

const sum = (amounts: number[]) => amounts.reduce((total, amount) => total + amount, 0)

async function sandbox(): Promise<Candidate> {
  const inbox = await openInbox()
  const [apiKey, secret] = ['sk_test', 'whsec_test']
  const server = await startSandbox({
    port: 0,
    webhookUrl: inbox.url,
    secret,
    apiKey,
    webhookDelayMs: 10,
    duplicateRate: 0.5,
    answerLateMs: 3 * TIMEOUT_MS,
    processingMs: 100,
    refundMs: 60_000,
  })
  const ask = (path: string, body: object) =>
    fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiKey}` },
      body: JSON.stringify(body),
    })
  const clientWith = (key: string) =>
    makeSandboxClient({ url: server.url, apiKey: key, webhookSecret: secret, timeoutMs: TIMEOUT_MS })
  return {
    provider: clientWith(apiKey),
    stranger: clientWith('sk_of_yesterday'),
    tokens: {
      ok: 'tok_ok',
      declined: 'tok_declined',
      requiresAction: 'tok_requires_action',
      processing: 'tok_processing',
      invalid: 'tok_nonsense',
    },
    failing: (how) => `tok_${how}`,
    witness: async (reference) => {
      const mine = server.ledger().payments.filter((payment) => payment.reference === reference)
      return {
        objects: mine.length,
        captured: sum(mine.map(({ amountCaptured }) => amountCaptured)),
        refunded: sum(mine.map(({ amountRefunded }) => amountRefunded)),
      }
    },
    inbox,
    act: async (url, verdict) => void (await fetch(`${url}/${verdict}`, { method: 'POST', redirect: 'manual' })),
    fate: {
      pendingRefund: 'tok_refund_pending',
      lapse: (id) => ask(`/v1/payments/${id}/cancel`, {}),
      finishRefund: (id) => ask(`/v1/refunds/${id}/end`, { outcome: 'succeeded' }),
      failRefund: (id) => ask(`/v1/refunds/${id}/end`, { outcome: 'failed' }),
      dispute: (id, amount) => ask(`/v1/payments/${id}/disputes`, { amount }),
      closeDispute: (id, outcome) => ask(`/v1/disputes/${id}/close`, { outcome }),
    },
    close: async () => {
      await server.close()
      await inbox.close()
    },
  }
}

/** Stripe's own SDK, and its double on the other side. Search lags, as it does at Stripe. */
async function stripe(): Promise<Candidate> {
  const inbox = await openInbox()
  const secret = 'whsec_test'
  const server = await startStripe({
    webhookUrl: inbox.url,
    secrets: [secret],
    webhooks: { duplicateRate: 0.5 },
    processingMs: 100,
    refundMs: 60_000,
    searchLagMs: 60_000,
  })
  const clientWith = (secretKey: string) =>
    makeStripeClient({
      url: server.url,
      secretKey,
      webhookSecrets: [secret],
      shopUrl: 'https://shop.example',
      timeoutMs: TIMEOUT_MS,
      clock: () => new Date(),
    })
  const faults = {
    timeout: { kind: 'silence', at: 'after' },
    error: { kind: 'error', at: 'before', kept: true },
  } as const
  return {
    provider: clientWith(server.apiKey),
    stranger: clientWith('sk_test_of_yesterday'),
    tokens: {
      ok: 'pm_card_visa',
      declined: 'pm_card_chargeDeclined',
      requiresAction: 'pm_card_authenticationRequired',
      processing: 'pm_processing',
      invalid: 'pm_nonsense',
    },
    failing: (how) => {
      server.faults({ match: { method: 'POST', path: '^/v1/payment_intents$' }, fault: faults[how] })
      return 'pm_card_visa'
    },
    witness: async (reference) => {
      const answer = await fetch(`${server.url}/v1/payment_intents?limit=100`, {
        headers: { authorization: `Bearer ${server.apiKey}` },
      })
      const { data } = (await answer.json()) as { data: { id: string; metadata: { paymentId: string } }[] }
      const mine = data.filter(({ metadata }) => metadata.paymentId === reference)
      const moved = mine.flatMap(({ id }) => server.ledger().intents[id] ?? [])
      return {
        objects: mine.length,
        captured: sum(moved.map(({ captured }) => captured)),
        refunded: sum(moved.map(({ refunded }) => refunded)),
      }
    },
    inbox,
    act: async (url, verdict) => void (await fetch(`${url}/${verdict}`, { method: 'POST', redirect: 'manual' })),
    fate: {
      pendingRefund: 'pm_card_pendingRefund',
      lapse: async (id) => server.lapse(id),
      finishRefund: async (id) => server.finishRefund(id),
      failRefund: async (id) => server.failRefund(id),
      dispute: async (id, amount) => server.dispute(id, amount === undefined ? {} : { amount }),
      closeDispute: async (id, verdict) => server.closeDispute(id, verdict),
    },
    close: async () => {
      await server.close()
      await inbox.close()
    },
  }
}

export const CANDIDATES = [
  ['sandbox', sandbox],
  ['stripe', stripe],
] as const

/** A charge of 19.99 USD for a payment of its own. */
export const chargeOf = (charge: Partial<Charge> & Pick<Charge, 'token'>): Charge => {
  const paymentId = newId('pay')
  return {
    paymentId,
    objectKey: paymentId,
    capture: 'automatic',
    orderId: newId('ord'),
    attemptId: newId('att'),
    providerPaymentId: null,
    amount: { amountMinor: 1999, currency: 'USD' },
    returnUrl: 'https://shop.example/return',
    ...charge,
  }
}
