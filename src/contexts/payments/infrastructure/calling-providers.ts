/** How calls to payment providers share each process's places: see docs/adr/0011. */
export const CALLING_PROVIDERS = {
  /** Below the five seconds after which a provider that says nothing is given up. */
  tryMs: 4_000,
  /** For attempts: a shopper waits. */
  urgentPlaces: { atOnce: 32, waiting: 64 },
  /** For webhooks, refunds, healing, audits, whose batches have to find room. */
  places: { atOnce: 16, waiting: 1_000 },
} as const
