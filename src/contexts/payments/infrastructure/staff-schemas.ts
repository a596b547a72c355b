import { type Static, Type } from 'typebox'
import { readableBy } from '#platform/http/fields.ts'
import { closed, idSchema, MoneySchema, nullable, oneOf, TimeSchema } from '#platform/http/schemas.ts'
import type { CaptureRequest } from '../domain/capture-request.ts'
import type { ProviderDispute } from '../domain/provider-payment.ts'
import type { Refund } from '../domain/refund.ts'
import type { Decision } from '../domain/review.ts'
import { LedgerEntrySchema } from './ledger-schemas.ts'

const READ = 'payments:read'
const object = { provider: Type.String(), providerPaymentId: Type.String() }

/** What staff see of a payment beside what its buyer sees: left out for whoever lacks payments:read. */
export const staffFields = {
  provider: Type.Optional(readableBy(READ, Type.String())),
  providerPaymentId: Type.Optional(readableBy(READ, Type.String())),
  reviewReason: Type.Optional(readableBy(READ, Type.String({ description: 'Why it waits for a person.' }))),
  authorisedUntil: Type.Optional(readableBy(READ, TimeSchema)),
  reviews: Type.Optional(
    readableBy(
      READ,
      Type.Array(
        closed({
          ...object,
          reason: Type.String(),
          taken: MoneySchema,
          heldAt: TimeSchema,
          decision: nullable(oneOf<Decision>('accept', 'refund', 'dismiss')),
          decidedAt: nullable(TimeSchema),
        }),
      ),
    ),
  ),
  disputes: Type.Optional(
    readableBy(
      READ,
      Type.Array(
        closed({
          ...object,
          providerDisputeId: Type.String(),
          amount: MoneySchema,
          reason: Type.String({ description: "The provider's word." }),
          status: oneOf<ProviderDispute['status']>('open', 'won', 'lost'),
          openedAt: TimeSchema,
          endedAt: nullable(TimeSchema),
        }),
      ),
    ),
  ),
  captureRequests: Type.Optional(
    readableBy(
      READ,
      Type.Array(
        closed({
          id: idSchema('cap'),
          status: oneOf<CaptureRequest['status']>('pending', 'succeeded', 'failed'),
          amount: MoneySchema,
          lastError: nullable(Type.String()),
          createdAt: TimeSchema,
          endedAt: nullable(TimeSchema),
        }),
      ),
    ),
  ),
  surplusRefunds: Type.Optional(
    readableBy(
      READ,
      Type.Array(
        closed({
          id: idSchema('ref'),
          ...object,
          status: oneOf<Refund['status']>('pending', 'succeeded', 'failed'),
          amount: MoneySchema,
          createdAt: TimeSchema,
        }),
        { description: 'Of money that was taken once too often.' },
      ),
    ),
  ),
  webhooks: Type.Optional(
    readableBy(
      'webhooks:read',
      Type.Array(closed({ id: Type.Integer(), type: Type.String(), receivedAt: TimeSchema }), {
        description: 'The last 100 that its providers sent about it, the newest first.',
      }),
    ),
  ),
  ledger: Type.Optional(readableBy('ledger:read', Type.Array(LedgerEntrySchema))),
}
const Fields = closed(staffFields)
export type StaffView = Static<typeof Fields>
