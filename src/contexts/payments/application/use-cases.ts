import { type AttemptPaymentNeeds, attemptPayment } from './attempt-payment.ts'
import { type CaptureNeeds, captureDue, capturePayment } from './capture-payment.ts'
import { type ClosePaymentsNeeds, closePayments } from './close-payments.ts'
import { type HealPaymentsNeeds, healPayments } from './heal-payments.ts'
import { type OpenPaymentNeeds, openPayment } from './open-payment.ts'
import { compareWithProviders, type ReconcileNeeds, reconcilePayments } from './reconcile-payments.ts'
import { prepareReceipt, type RecordReceiptNeeds, recordReceipt } from './record-receipt.ts'
import { type RefundNeeds, refundInFull, refundPayment, sendDueRefunds } from './refund-payment.ts'
import { type ReplayWebhooksNeeds, replayParked, replayWebhook } from './replay-webhooks.ts'
import { type ReviewNeeds, reviewPayment } from './review-payment.ts'
import { type SettleNeeds, settlePayments } from './settle-payments.ts'
import { type TakeWebhookNeeds, takeWebhook } from './take-webhook.ts'
import { type WorkInboxNeeds, workInbox } from './work-inbox.ts'

type Settled<Needs> = Omit<Needs, 'settlePayments'>
export type PaymentsNeeds = OpenPaymentNeeds &
  ClosePaymentsNeeds &
  SettleNeeds &
  Settled<AttemptPaymentNeeds> &
  TakeWebhookNeeds &
  ReplayWebhooksNeeds &
  Settled<WorkInboxNeeds> &
  Settled<HealPaymentsNeeds> &
  RefundNeeds &
  Settled<CaptureNeeds> &
  ReviewNeeds &
  Settled<RecordReceiptNeeds> &
  Settled<ReconcileNeeds>

/** Everything that payments can be asked to do. */
export function paymentsUseCases(needs: PaymentsNeeds) {
  const settled = { ...needs, settlePayments: settlePayments(needs) }
  return {
    openPayment: openPayment(needs),
    closePayments: closePayments(needs),
    attemptPayment: attemptPayment(settled),
    takeWebhook: takeWebhook(needs),
    workInbox: workInbox(settled),
    replayWebhook: replayWebhook(needs),
    replayParked: replayParked(needs),
    healPayments: healPayments(settled),
    capturePayment: capturePayment(settled),
    captureDue: captureDue(settled),
    prepareReceipt: prepareReceipt(settled),
    recordReceipt: recordReceipt(settled),
    reviewPayment: reviewPayment(needs),
    refundPayment: refundPayment(needs),
    refundInFull: refundInFull(needs),
    sendDueRefunds: sendDueRefunds(needs),
    compareWithProviders: compareWithProviders(needs),
    reconcilePayments: reconcilePayments(settled),
  }
}
export type PaymentsUseCases = ReturnType<typeof paymentsUseCases>
