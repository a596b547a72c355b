import { type Limits, makeLimits } from '#platform/limits/limits.ts'
import { fixedEncryption } from './key-ring.ts'

/** Limits that allow everything. */
export const noLimits = (): Limits =>
  makeLimits({ enabled: false, clock: () => new Date(), encryption: fixedEncryption(), redis: undefined })

/** Limits that one process counts by itself, against this clock. */
export const limitsHere = (clock = () => new Date()): Limits =>
  makeLimits({ enabled: true, clock, encryption: fixedEncryption(), redis: undefined })
