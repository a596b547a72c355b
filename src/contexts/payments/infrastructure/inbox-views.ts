import { type RawBuilder, sql } from 'kysely'
import type { PaymentId } from '#kernel/ids.ts'
import { type Page, pageOf } from '#kernel/page.ts'
import type { Reader } from '#platform/db/work.ts'
import type { Encryption } from '#platform/security/encryption.ts'
import type { WebhookStatus } from '../application/replay-webhooks.ts'
import { bodyPlace, STATUS } from './inbox-store.ts'

export type WebhookView = {
  readonly id: number
  readonly provider: string
  readonly eventId: string
  readonly type: string
  readonly status: WebhookStatus
  readonly paymentId: PaymentId | null
  readonly providerPaymentId: string | null
  readonly receivedAt: string
  readonly tries: number
  readonly dueAt: string | null
  readonly doneAt: string | null
  readonly parkedAt: string | null
  readonly lastError: string | null
}
/** What the list of webhooks is narrowed to; `beforeId` is where the page begins. */
export type WebhookFilter = {
  readonly status?: WebhookStatus
  readonly provider?: string
  readonly type?: string
  readonly payment?: PaymentId
  readonly beforeId?: number
  readonly limit: number
}

type Row = Omit<WebhookView, 'receivedAt' | 'dueAt' | 'doneAt' | 'parkedAt'> & {
  receivedAt: Date
  dueAt: Date | null
  doneAt: Date | null
  parkedAt: Date | null
}

/** The columns of a `Row`, of `payments.inbox i`. A surplus capture's object is its payment's too. */
const WEBHOOK = sql`
  i.id, i.provider, i.event_id as "eventId", i.type, ${STATUS} as status, i.provider_payment_id as "providerPaymentId",
  i.received_at as "receivedAt", i.tries, i.due_at as "dueAt", i.done_at as "doneAt", i.parked_at as "parkedAt",
  i.last_error as "lastError", coalesce(
    (select p.id from payments.payments p where p.provider = i.provider and p.provider_payment_id = i.provider_payment_id),
    (select c.payment_id from payments.captures c
      where c.provider = i.provider and c.provider_payment_id = i.provider_payment_id)) as "paymentId"`

/** The objects at providers that are or were this payment's, as `(provider, provider_payment_id)`. */
export const objectsOf = (payment: PaymentId): RawBuilder<unknown> => sql`
  select provider, provider_payment_id from payments.payments where id = ${payment}
  union select provider, provider_payment_id from payments.captures where payment_id = ${payment}
  union select provider, provider_payment_id from payments.reviews where payment_id = ${payment}`

const STATES: Readonly<Record<WebhookStatus, RawBuilder<unknown>>> = {
  due: sql`i.due_at is not null`,
  done: sql`i.done_at is not null`,
  parked: sql`i.parked_at is not null`,
}

/** One page of the webhooks that came, the newest first. */
export async function listWebhooks(db: Reader, filter: WebhookFilter): Promise<Page<WebhookView>> {
  const conditions = [
    sql`true`,
    ...(filter.status ? [STATES[filter.status]] : []),
    ...(filter.provider ? [sql`i.provider = ${filter.provider}`] : []),
    ...(filter.type ? [sql`i.type = ${filter.type}`] : []),
    ...(filter.payment ? [sql`(i.provider, i.provider_payment_id) in (${objectsOf(filter.payment)})`] : []),
    ...(filter.beforeId === undefined ? [] : [sql`i.id < ${filter.beforeId}`]),
  ]
  const { rows } = await sql<Row>`
    select ${WEBHOOK} from payments.inbox i where ${sql.join(conditions, sql` and `)}
    order by i.id desc limit ${filter.limit + 1}`.execute(db)
  return pageOf(rows, filter.limit, toView, (row) => [row.id])
}

/** One webhook with its body as it came; null for one that came before bodies were sealed. */
export async function readWebhook(
  db: Reader,
  { open }: Encryption,
  id: number,
): Promise<(WebhookView & { readonly body: string | null }) | undefined> {
  const { rows } = await sql<Row & { sealed: Buffer | null }>`
    select ${WEBHOOK}, i.sealed_body as sealed from payments.inbox i where i.id = ${id}`.execute(db)
  const [row] = rows
  if (!row) return undefined
  const { sealed, ...seen } = row
  return { ...toView(seen), body: sealed && open(sealed, bodyPlace(row.eventId)) }
}

const toView = ({ receivedAt, dueAt, doneAt, parkedAt, ...row }: Row): WebhookView => ({
  ...row,
  receivedAt: receivedAt.toISOString(),
  dueAt: dueAt?.toISOString() ?? null,
  doneAt: doneAt?.toISOString() ?? null,
  parkedAt: parkedAt?.toISOString() ?? null,
})
