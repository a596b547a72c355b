import { Type } from 'typebox'
import { closed, idSchema, MoneySchema, named, nullable, oneOf, TimeSchema } from '#platform/http/schemas.ts'
import type { LedgerEntry } from '../domain/ledger.ts'

export const LedgerEntrySchema = named(
  'LedgerEntry',
  closed(
    {
      id: Type.Integer(),
      bookedAt: TimeSchema,
      orderId: idSchema('ord'),
      orderNumber: Type.String(),
      paymentId: idSchema('pay'),
      refundId: nullable(idSchema('ref')),
      providerDisputeId: nullable(Type.String()),
      kind: oneOf<LedgerEntry['kind']>('capture', 'refund', 'refund-failed', 'dispute', 'dispute-won', 'dispute-lost'),
      debit: Type.String(),
      credit: Type.String(),
      amount: MoneySchema,
    },
    { description: '`amount` moved from the account `credit` to the account `debit`.' },
  ),
)
