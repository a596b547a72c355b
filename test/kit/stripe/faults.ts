import { seeded } from '#src/sandbox/seeded.ts'

/** Whether the fault comes before the operation, which then never runs, or after it, whose answer is lost. */
type Moment = { readonly at: 'before' | 'after' }

/** What can go wrong between Stripe and us. Each is at one moment; without one, it changes the answer that was made. */
export type Fault =
  /**
   * A 5xx, 500 unless said. `kept`: Stripe's own code failed, so that the answer stays with the idempotency key, as it does
   * after the effect unless said otherwise; else it is the edge's, and another try with the key finds what there is.
   */
  | ({ readonly kind: 'error'; readonly status?: number; readonly kept?: boolean } & Moment)
  /** 429, before anything happens. */
  | { readonly kind: 'rate-limit' }
  /** The card is another than the one that was asked for: `pm_card_chargeDeclined` for a 402. */
  | { readonly kind: 'card'; readonly paymentMethod: string }
  /** An answer that is late or, without `delayMs`, never comes. `before`: the operation too is late, or never is. */
  | ({ readonly kind: 'silence'; readonly delayMs?: number } & Moment)
  | ({ readonly kind: 'reset' } & Moment)
  /** A proxy's page in place of JSON. */
  | ({ readonly kind: 'html'; readonly status: number } & Moment)
  /** Half of the answer, and then the connection ends. */
  | { readonly kind: 'cut' }
  /** The answer with so many bytes of a field that nobody asked for: ten million unless said. */
  | { readonly kind: 'huge'; readonly bytes?: number }
  /** Fields of the answer that are something else, or missing. */
  | { readonly kind: 'changed'; readonly set?: object; readonly without?: readonly string[] }
  | { readonly kind: 'redirect'; readonly to: string }

/** Whether the answer of an error stays with the idempotency key. */
export const staysWithKey = ({ at, kept }: { at: 'before' | 'after'; kept?: boolean }): boolean =>
  kept ?? at === 'after'

/** Which requests a fault meets: the next `times` (1 unless said) that fit, or each that fits at a `rate` of 0 to 1. */
export type FaultRule = {
  readonly match?: {
    readonly method?: string
    /** A regular expression that the path fits. */
    readonly path?: string
  }
  readonly times?: number
  readonly rate?: number
  readonly fault: Fault
}

/** Hands out faults as they were ordered; chance is the same for the same seed. */
export function openFaults(seed: number, ordered: readonly FaultRule[] = []) {
  const random = seeded(seed)
  let rules: (FaultRule & { left: number })[] = []
  const add = (...more: readonly FaultRule[]): void => {
    rules.push(...more.map((rule) => ({ ...rule, left: rule.times ?? (rule.rate === undefined ? 1 : Infinity) })))
  }
  add(...ordered)
  return {
    add,
    clear: (): void => {
      rules = []
    },
    /** How many faults of so many times have not come yet. */
    waiting: (): number => rules.filter(({ left }) => left > 0 && left < Infinity).length,
    /** The fault of this request, if it has one. */
    take(method: string, path: string): Fault | undefined {
      const rule = rules.find(
        ({ match, left, rate }) =>
          left > 0 &&
          (match?.method ?? method) === method &&
          new RegExp(match?.path ?? '').test(path) &&
          (rate === undefined || random() < rate),
      )
      if (rule) rule.left -= 1
      return rule?.fault
    },
  }
}
