/** Parameters as Stripe takes them: text, or parameters again. An array is one by index, as the SDK sends it. */
export type Params = { [name: string]: string | Params }

/** Reads `metadata[paymentId]=p&expand[0]=latest_charge`, of a body or a query. */
export function parseForm(text: string): Params {
  const params: Params = {}
  for (const [name, value] of new URLSearchParams(text)) {
    const [head = '', ...rest] = name
      .split(/\[|\]\[|\]$/)
      .filter((_, index, all) => index < all.length - 1 || all[index])
    let at = params
    let last = head
    for (const step of rest) {
      const inner = at[last]
      at[last] = typeof inner === 'object' ? inner : {}
      at = at[last] as Params
      last = step === '' ? String(Object.keys(at).length) : step
    }
    at[last] = value
  }
  return params
}

/** The same text for the same parameters, in whatever order they came. */
export const canonical = (params: Params | string): string =>
  typeof params === 'string'
    ? JSON.stringify(params)
    : `{${Object.keys(params)
        .sort()
        .map((name) => `${JSON.stringify(name)}:${canonical(params[name]!)}`)
        .join(',')}}`

/** A parameter that is text; undefined when it was left out or emptied. */
export const text = (params: Params, name: string): string | undefined => {
  const value = params[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** What stands under a name as a group; empty when nothing does. */
export const group = (params: Params, name: string): Params => {
  const value = params[name]
  return typeof value === 'object' ? value : {}
}

/** What stands under a name as an array of texts. */
export const texts = (params: Params, name: string): string[] =>
  Object.values(group(params, name)).filter((value) => typeof value === 'string')
