import type { Work } from '#platform/db/work.ts'

/** Whether orders are taken, since when, and who said so. */
export type Checkout = {
  readonly paused: boolean
  readonly reason: string | null
  readonly changedBy: string | null
  readonly changedAt: Date
}

export type SwitchCheckoutNeeds = {
  /** Waits for the orders that are being placed, and lets no other begin before this transaction ends. */
  readonly lockCheckout: (work: Work) => Promise<Checkout>
  readonly saveCheckout: (work: Work, checkout: Checkout) => Promise<void>
}

export type SwitchCheckout = (
  work: Work,
  to: { readonly paused: boolean; readonly reason: string | null; readonly by: string },
) => Promise<Checkout>

/**
 * Pauses checkout or opens it again, for all processes. Once a pause is committed no order is placed any more; those that
 * began before have ended. Everything else goes on.
 */
export const switchCheckout =
  (needs: SwitchCheckoutNeeds): SwitchCheckout =>
  async (work, { paused, reason, by }) => {
    const before = await needs.lockCheckout(work)
    const after: Checkout = { paused, reason, changedBy: by, changedAt: work.now }
    await needs.saveCheckout(work, after)
    work.audit({
      action: paused ? 'orders.pause-checkout' : 'orders.resume-checkout',
      subject: 'checkout',
      before: { paused: before.paused, reason: before.reason },
      after: { paused, reason, osUser: by },
    })
    return after
  }
