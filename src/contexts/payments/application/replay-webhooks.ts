import type { Work } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'

/** How far a webhook is: `due` until it is worked on, `parked` when that was given up until a person looks. */
export type WebhookStatus = 'due' | 'done' | 'parked'

/** A webhook as it was before its replay; `isActedOn` when it is about something that we act on. */
export type Replayed = { readonly status: WebhookStatus; readonly isActedOn: boolean }

export type ReplayWebhooksNeeds = {
  /** Puts one back into the queue, unless it waits there or is about nothing. */
  requeueWebhook(work: Work, id: number): Promise<Replayed | undefined>
  requeueParked(work: Work): Promise<number>
}

/**
 * Has a webhook worked on again; one that waits for that already goes on waiting. Harmless however often: its object is
 * read again from the provider. Refuses payments.webhook-not-found and payments.webhook-about-nothing.
 */
export const replayWebhook =
  (needs: ReplayWebhooksNeeds) =>
  async (work: Work, id: number): Promise<void> => {
    const before = await needs.requeueWebhook(work, id)
    if (!before) throw refuse('payments.webhook-not-found')
    if (!before.isActedOn) throw refuse('payments.webhook-about-nothing')
    if (before.status !== 'due') audit(work, String(id), { status: before.status })
  }

/** Has all parked webhooks worked on again; how many those are. */
export const replayParked =
  (needs: ReplayWebhooksNeeds) =>
  async (work: Work): Promise<number> => {
    const parked = await needs.requeueParked(work)
    if (parked > 0) audit(work, 'all', { parked })
    return parked
  }

const audit = (work: Work, subject: string, before: object) =>
  work.audit({ action: 'webhooks.replay', subject, before, after: { status: 'due' } })
