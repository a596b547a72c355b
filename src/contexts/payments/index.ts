import { minutesAfter } from '#kernel/clock.ts'
import { systemActor } from '#platform/db/system.ts'
import { newId } from '#platform/ids.ts'
import type { Context, Platform } from '#platform/platform.ts'
import type { CallWatch } from '#platform/resilience/call-watch.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import type { Config, PaymentProviderName } from '#src/config.ts'
import type { ClosePayments } from './application/close-payments.ts'
import type { OpenPayment } from './application/open-payment.ts'
import type { PaymentProvider, PaymentProviders } from './application/payment-provider.ts'
import type { Difference, Reconciliation, Span } from './application/reconcile-payments.ts'
import type { RefundInFull } from './application/refund-payment.ts'
import type { RefundsByLines } from './application/refunds-by-lines.ts'
import { type PaymentsUseCases, paymentsUseCases } from './application/use-cases.ts'
import { paymentsProblems } from './domain/problems.ts'
import * as attempts from './infrastructure/attempt-store.ts'
import * as captures from './infrastructure/capture-store.ts'
import { cardTesting } from './infrastructure/card-testing.ts'
import { paymentRoutes } from './infrastructure/http.ts'
import * as inbox from './infrastructure/inbox-store.ts'
import { listWebhooks } from './infrastructure/inbox-views.ts'
import { type ExportLedger, makeLedgerExport } from './infrastructure/ledger-export.ts'
import { ledgerRoutes } from './infrastructure/ledger-http.ts'
import { makeManualProvider, receiveManually } from './infrastructure/manual-provider.ts'
import * as movements from './infrastructure/movement-store.ts'
import { paymentListRoutes } from './infrastructure/payment-list-http.ts'
import * as store from './infrastructure/payment-store.ts'
import { type PaymentViews, paymentViews } from './infrastructure/payment-views.ts'
import { paymentsMeasures } from './infrastructure/payments-measures.ts'
import { type ForgetOrders, forgetOrders } from './infrastructure/personal-data.ts'
import * as books from './infrastructure/reconcile-store.ts'
import * as refunds from './infrastructure/refund-store.ts'
import { makeSandboxClient } from './infrastructure/sandbox-client.ts'
import { saveChanges } from './infrastructure/save-changes.ts'
import { inboxRoutes } from './infrastructure/webhooks-http.ts'

export type { ClosePayments } from './application/close-payments.ts'
export type { OpenPayment } from './application/open-payment.ts'
export type { Reconciliation } from './application/reconcile-payments.ts'
export type { RefundInFull } from './application/refund-payment.ts'
export type { RefundsByLines, RefundToCount } from './application/refunds-by-lines.ts'
export type { PaymentViews, ShortPayment } from './infrastructure/payment-views.ts'
export type { ForgetOrders } from './infrastructure/personal-data.ts'

export type PaymentsContext = Context & {
  readonly openPayment: OpenPayment
  readonly closePayments: ClosePayments
  readonly refundInFull: RefundInFull
  readonly forgetOrders: ForgetOrders
  readonly paymentViews: PaymentViews
  /** Holds our books against the providers': what differs, by payment. */
  readonly compareWithProviders: () => Promise<Difference[]>
  /** Writes the books as CSV. */
  readonly exportLedger: ExportLedger
  /** The inbox, for an operator. */
  readonly webhooks: Pick<PaymentsUseCases, 'replayWebhook' | 'replayParked'> & { readonly list: typeof listWebhooks }
  /** The same for what was made in a span, and heals what it safely can. */
  readonly reconcilePayments: (span: Span, onProgress?: (compared: number) => void) => Promise<Reconciliation>
  /** The providers that are switched on, by name, the default first: what a shop front offers, and what an audit asks. */
  readonly providers: PaymentProviders
  /** The same as a shop front sees them. */
  readonly paymentMethods: { readonly id: string; readonly publishableKey: string | null }[]
}

/** What is reconciled each hour: more than two days, so that a day without it is no loss, less what is still moving. */
const RECONCILED_HOURS = 50
const QUIET_HOURS = 0.1
/** Beyond the time-outs of the calls that a lease covers: a charge, and asking what became of it. */
const LEASE_MARGIN_MS = 5_000

export type Neighbours = {
  /** Of the orders, which are built after payments. */
  readonly refundsByLines: () => RefundsByLines
}

/** Payments: attempts, providers and their webhooks, refunds, the ledger. Orders hear of it by its events. */
export async function payments(
  platform: Platform,
  config: Config,
  { refundsByLines }: Neighbours,
): Promise<PaymentsContext> {
  const { db, perform, clock, log, pump, limits, encryption } = platform
  const providers = new Map((await makeProviders(platform, config)).map((provider) => [provider.name, provider]))
  const [defaultProvider = ''] = providers.keys()
  const use = paymentsUseCases({
    ...store,
    ...attempts,
    ...refunds,
    ...captures,
    ...movements,
    ...inbox,
    saveChanges,
    perform,
    clock,
    log,
    cardTesting: cardTesting(limits),
    providers,
    failpoint,
    byLines: refundsByLines,
    command: { actor: systemActor, requestId: 'payments' },
    capture: config.paymentCapture,
    leaseMs: 2 * config.paymentTimeoutMs + LEASE_MARGIN_MS,
    newPaymentId: () => newId('pay'),
    newAttemptId: () => newId('att'),
    newRefundId: () => newId('ref'),
    newCaptureId: () => newId('cap'),
    minimumMinor: (currency) => Math.min(...[...providers.values()].map((provider) => provider.minimumMinor(currency))),
    readForReceipt: (id) => attempts.readForReceipt(db, id),
    receive: receiveManually(encryption),
    readForAttempt: (id, keyHash) => attempts.readForAttempt(db, id, keyHash),
    claimDueAttempts: () => attempts.claimDueAttempts(db, clock()),
    claimDueClosings: () => store.claimDueClosings(db, clock()),
    claimDueRefunds: () => refunds.claimDueRefunds(db, clock()),
    claimDueCaptures: () => captures.claimDueCaptures(db, clock()),
    storeWebhook: inbox.storeWebhook(encryption),
    claimInbox: () => inbox.claimInbox(db, clock()),
    postponeEvent: (event, error) => inbox.postponeEvent(db, clock(), event, error),
    bookedObjects: (span) => books.bookedObjects(db, span),
    bookedObject: (provider, object) => books.bookedObject(db, provider, object),
    isOurs: (reference) => books.isOurs(db, reference),
    noteReconciliation: (span, outcome) => books.noteReconciliation(db, clock(), span, outcome),
    wakeInbox: () => inboxPump.wake(),
  })
  const inboxPump = pump({ name: 'payments-inbox', everyMs: 1_000, atLeastMs: 20, run: use.workInbox })
  pump({ name: 'payments-refunds', everyMs: 1_000, run: use.sendDueRefunds })
  pump({ name: 'payments-captures', everyMs: 1_000, run: use.captureDue })
  pump({ name: 'payments-healing', everyMs: 10_000, run: use.healPayments })
  const exportLedger = makeLedgerExport(db)
  return {
    problems: paymentsProblems,
    routes: async (app) => {
      await app.register(paymentRoutes(use, platform, defaultProvider))
      await app.register(paymentListRoutes(platform))
      await app.register(inboxRoutes(use, platform))
      await app.register(ledgerRoutes(platform, exportLedger))
    },
    on: {},
    tasks: {
      'payments.forget-old-webhooks': () => inbox.forgetOldWebhooks(db, clock()),
      'payments.reconcile': async () => {
        const [from, before] = [RECONCILED_HOURS, QUIET_HOURS].map((hours) => minutesAfter(clock(), -60 * hours))
        if (from && before) await use.reconcilePayments({ from, before })
      },
    },
    cron: [
      { task: 'payments.forget-old-webhooks', match: '47 * * * *' },
      { task: 'payments.reconcile', match: '41 * * * *' },
    ],
    measures: [...paymentsMeasures(db, clock), ...books.reconcileMeasures(db, clock)],
    openPayment: use.openPayment,
    closePayments: use.closePayments,
    refundInFull: use.refundInFull,
    forgetOrders,
    paymentViews,
    compareWithProviders: use.compareWithProviders,
    webhooks: { ...use, list: listWebhooks },
    reconcilePayments: use.reconcilePayments,
    exportLedger,
    providers,
    paymentMethods: config.paymentProviders.map((id) => ({
      id,
      publishableKey: (id === 'stripe' && config.stripe?.publishableKey) || null,
    })),
  }
}

/** One adapter per provider that the configuration names. */
const makeProviders = ({ watchCalls, clock, db }: Platform, config: Config): Promise<PaymentProvider[]> =>
  Promise.all(config.paymentProviders.map((name) => adapters[name]({ ...config, clock, db, watch: watchCalls(name) })))

type Surroundings = Config & Pick<Platform, 'clock' | 'db'> & { readonly watch: CallWatch }
const adapters: Readonly<
  Record<PaymentProviderName, (of: Surroundings) => PaymentProvider | Promise<PaymentProvider>>
> = {
  sandbox: ({ sandboxUrl, sandboxSecretKey, sandboxWebhookSecret, paymentTimeoutMs, watch }) =>
    makeSandboxClient({
      url: sandboxUrl,
      apiKey: sandboxSecretKey,
      webhookSecret: sandboxWebhookSecret,
      timeoutMs: paymentTimeoutMs,
      watch,
    }),
  // Its SDK is large: only a shop that takes payments by Stripe loads it.
  stripe: async ({ stripe, storefrontUrl: shopUrl, paymentTimeoutMs: timeoutMs, clock, watch }) => {
    if (!stripe) throw new Error('Stripe has no keys.')
    const { makeStripeClient } = await import('./infrastructure/stripe-client.ts')
    return makeStripeClient({ ...stripe, shopUrl, timeoutMs, clock, watch })
  },
  manual: ({ db, clock, manualHoldDays }) => makeManualProvider(db, clock, manualHoldDays),
}
