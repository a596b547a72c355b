/** A fact that happened: `context.fact.vN`, about one subject. It holds ids and amounts, never personal data. */
export type DomainEvent<Type extends string = string, Data extends object = object> = {
  readonly type: Type
  /** The id of the thing it happened to. */
  readonly subject: string
  readonly data: Data
}

/** What a pure decision returns: the new state, and the events that tell of it. */
export type Decision<State> = { readonly state: State; readonly events: readonly DomainEvent[] }
