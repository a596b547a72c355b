/** Why a rule said no; the HTTP status follows from it (platform/http/problem.ts). */
export type RefusalKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'stale'
  | 'limited'
  | 'unavailable'

/** One way of saying no: its kind, a title for people, and what the caller can do about it. */
export type Problem = { readonly kind: RefusalKind; readonly title: string; readonly advice: string }

/** Everything that a context can refuse, by code (`context.what-is-wrong`): one literal table in its `domain/problems.ts`. */
export type Problems = Readonly<Record<string, Problem>>

/** What every problem document says by itself (RFC 9457): no fact may take such a name. */
type Reserved = { readonly [Name in 'type' | 'title' | 'status' | 'detail' | 'code' | 'instance']?: never }

/** What a refusal tells beside its detail: `errors` with JSON pointers where the input is at fault, and other facts. */
export type RefusalFacts = Reserved & {
  readonly errors?: readonly { readonly pointer: string; readonly detail: string; readonly [fact: string]: unknown }[]
  readonly retryAfterSeconds?: number
  /** These are the problem document's own. */
  readonly type?: never
  readonly title?: never
  readonly status?: never
  readonly detail?: never
  readonly code?: never
  readonly instance?: never
  readonly [fact: string]: unknown
}

/** A rule said no. Thrown, so that the transaction it happened in is rolled back. */
export class Refusal extends Error {
  readonly kind: RefusalKind
  readonly code: string
  readonly title: string
  readonly facts: RefusalFacts

  constructor(code: string, problem: Problem, detail: string, facts: RefusalFacts = {}) {
    super(detail)
    this.name = 'Refusal'
    this.code = code
    this.kind = problem.kind
    this.title = problem.title
    this.facts = facts
  }
}

/** Makes a context's `refuse(code, detail?, facts?)` from its table; the detail defaults to the table's advice. */
export const refuserOf =
  <Table extends Problems>(table: Table) =>
  (code: keyof Table & string, detail?: string, facts?: RefusalFacts): Refusal => {
    const problem = table[code] as Problem
    return new Refusal(code, problem, detail ?? problem.advice, facts)
  }
