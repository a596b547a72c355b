/** What answers have told so far: the ids and values that exist, and what proves that one may use them. */
export type Learned = {
  /** Ids by their prefix, the newest last; those with a token alone, where there are such. */
  readonly ids: (prefix: string) => readonly string[]
  /** Values that a property or parameter of this name had. */
  readonly values: (name: string) => readonly string[]
  /** The headers of a guest who owns what is named in these texts, if somebody was told its token. */
  readonly tokensFor: (...texts: readonly string[]) => Readonly<Record<string, string>>
  /** The ETag of what is named there, as it was last seen. */
  readonly etagFor: (text: string) => string | undefined
  readonly hear: (body: unknown, etag?: string) => void
}

const KEPT = 40
const ID = /\b([a-z]+)_[0-9a-hjkmnp-tv-z]{26}\b/g
const OWNED = /\b(?:cart|ord|pay)_[0-9a-z]{26}\b/g

/** Begins with these values, by property name. */
export function makeLearned(known: Readonly<Record<string, readonly string[]>>): Learned {
  const ids = new Map<string, string[]>()
  const values = new Map(Object.entries(known).map(([name, some]) => [name, [...some]]))
  const tokens = new Map<string, string>()
  const etags = new Map<string, string>()
  const keep = (pool: Map<string, string[]>, name: string, value: string) => {
    const kept = pool.get(name) ?? []
    pool.set(name, [...kept.filter((one) => one !== value), value].slice(-KEPT))
  }
  const hearOne = (thing: Record<string, unknown>): void => {
    const { id, token, payment, version } = thing
    if (typeof id === 'string' && typeof version === 'number') etags.set(id, `"${version}"`)
    if (typeof id === 'string' && typeof token === 'string') {
      tokens.set(id, token)
      const { id: paymentId } = (payment ?? {}) as { id?: string }
      if (paymentId) tokens.set(paymentId, token)
    }
    for (const [name, value] of Object.entries(thing)) {
      if (name in known && typeof value === 'string' && value.length < 2_000) keep(values, name, value)
      if (typeof value === 'object' && value !== null) hearAll(value)
    }
  }
  const hearAll = (body: object): void => {
    if (Array.isArray(body)) for (const one of body) if (typeof one === 'object' && one !== null) hearAll(one)
    if (!Array.isArray(body)) hearOne(body as Record<string, unknown>)
  }
  return {
    ids(prefix) {
      const known = ids.get(prefix) ?? []
      const owned = known.filter((id) => tokens.has(id))
      return owned.length > 0 ? owned : known
    },
    values: (name) => values.get(name) ?? [],
    tokensFor(...texts) {
      const named = texts.flatMap((text) => text.match(OWNED) ?? [])
      const proof = (prefix: RegExp) =>
        named
          .filter((id) => prefix.test(id))
          .map((id) => tokens.get(id))
          .find(Boolean)
      const [cart, order] = [proof(/^cart/), proof(/^(ord|pay)/)]
      return { ...(cart ? { 'x-cart-token': cart } : {}), ...(order ? { 'x-order-token': order } : {}) }
    },
    etagFor: (text) =>
      text
        .match(ID)
        ?.map((id) => etags.get(id))
        .find(Boolean),
    hear(body, etag) {
      if (typeof body !== 'object' || body === null) return
      const text = JSON.stringify(body)
      for (const [id, prefix = ''] of text.slice(0, 200_000).matchAll(ID)) keep(ids, prefix, id)
      hearAll(body)
      const { id } = body as { id?: unknown }
      if (typeof id === 'string' && etag) etags.set(id, etag)
    },
  }
}
