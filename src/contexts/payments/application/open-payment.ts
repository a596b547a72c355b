import type { OrderId, PaymentId, UserId } from '#kernel/ids.ts'
import type { Money } from '#kernel/money.ts'
import type { Work } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'

export type PayableOrder = {
  readonly orderId: OrderId
  readonly orderNumber: string
  readonly amount: Money
  readonly payableUntil: Date
  readonly buyerUserId: UserId | null
  /** Of the order's token: a guest's proof for the payment too. */
  readonly tokenVersion: number
}
export type OpenPayment = (work: Work, order: PayableOrder) => Promise<{ id: PaymentId; status: 'open'; amount: Money }>

export type OpenPaymentNeeds = {
  newPaymentId(): PaymentId
  /** The least amount that any provider takes. */
  minimumMinor(currency: string): number
  insertPayment(work: Work, id: PaymentId, order: PayableOrder): Promise<void>
}

/** Opens the payment of a new order. Refuses payments.amount-too-small. */
export const openPayment =
  (needs: OpenPaymentNeeds): OpenPayment =>
  async (work, order) => {
    const { amount } = order
    const least = { amountMinor: needs.minimumMinor(amount.currency), currency: amount.currency }
    if (amount.amountMinor < least.amountMinor) throw refuse('payments.amount-too-small', undefined, { least })
    const id = needs.newPaymentId()
    await needs.insertPayment(work, id, order)
    return { id, status: 'open', amount }
  }
