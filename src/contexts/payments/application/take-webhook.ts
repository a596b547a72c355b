import type { Single } from '#platform/db/work.ts'
import { refuse } from '../domain/problems.ts'
import type { PaymentProviders, WebhookEvent } from './payment-provider.ts'

export type ReceivedWebhook = {
  readonly provider: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}
export type TakeWebhookNeeds = {
  readonly providers: PaymentProviders
  /** Stores the event as it came; nothing happens for one that was stored before. */
  storeWebhook(single: Single, provider: string, event: WebhookEvent, body: Buffer): Promise<void>
  wakeInbox(): void
}

/**
 * Stores a genuine webhook once, raw, and leaves the rest to the inbox. Refuses payments.unknown-provider and
 * payments.invalid-signature.
 */
export const takeWebhook =
  (needs: TakeWebhookNeeds) =>
  async (single: Single, { provider: name, headers, body }: ReceivedWebhook): Promise<void> => {
    const provider = needs.providers.get(name)
    if (!provider) throw refuse('payments.unknown-provider')
    const event = provider.readWebhook(headers, body, single.now)
    if (!event) throw refuse('payments.invalid-signature')
    await needs.storeWebhook(single, name, event, body)
    needs.wakeInbox()
  }
