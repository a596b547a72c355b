import type { Books, StripeObject, View } from './books.ts'
import { paymentMethodOf } from './cards.ts'
import { invalid, missing } from './failure.ts'
import { group, type Params, text, texts } from './form.ts'

/** A page of objects of one kind, from the newest on: those made in a span of time, or of one payment or charge. */
export function listed(books: Books, kind: string, path: string, params: Params): object {
  const created = group(params, 'created')
  const bound = (name: string, otherwise: number) => Number(text(created, name) ?? otherwise)
  const all = books
    .all(kind)
    .filter(
      (object) =>
        object.created >= bound('gte', 0) &&
        object.created > bound('gt', -1) &&
        object.created < bound('lt', Number.MAX_SAFE_INTEGER) &&
        object.created <= bound('lte', Number.MAX_SAFE_INTEGER) &&
        ['payment_intent', 'charge', 'type'].every((of) => (text(params, of) ?? object[of]) === object[of]),
    )
  const after = text(params, 'starting_after')
  if (after !== undefined && !books.find(after)) throw missing(kind, after, 'starting_after', 400)
  return pageOf(all, path, params, after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1)
}

/**
 * What a search finds: PaymentIntents by metadata, status or currency, those that the index knows already. It lags, as
 * Stripe's does: nobody may rely on it for what was made just now.
 */
export function searched(books: Books, path: string, params: Params, lagMs: number): object {
  const query = text(params, 'query')
  if (query === undefined) throw invalid('Missing required param: query.', 'query', 'parameter_missing')
  const terms = query.split(/\s+AND\s+/i).map((term) => {
    const [, field, name, value] =
      /^(metadata|status|currency)(?:\[['"]([^'"]+)['"]\])?:['"]([^'"]*)['"]$/.exec(term) ?? []
    if (field === undefined) throw invalid(`We were unable to parse your search query: ${query}`, 'query')
    return (intent: StripeObject) => (name === undefined ? intent[field] : intent.metadata[name]) === value
  })
  const known = books
    .all('payment_intent')
    .filter((intent) => intent.created * 1000 + lagMs <= books.nowMs() && terms.every((fits) => fits(intent)))
  const start = Number(text(params, 'page') ?? 0)
  const page = pageOf(known, path, params, start)
  return { ...page, object: 'search_result', next_page: page.has_more ? String(start + page.data.length) : null }
}

function pageOf(all: StripeObject[], url: string, params: Params, start: number) {
  const limit = Number(text(params, 'limit') ?? 10)
  if (!(limit >= 1 && limit <= 100)) throw invalid('Limit must be between 1 and 100.', 'limit')
  const data = all.slice(start, start + limit)
  return { object: 'list', url, has_more: start + limit < all.length, data }
}

/** The object with what was asked for in place of its id: `latest_charge.refunds`, in a list `data.latest_charge`. */
export function expanded(view: View, object: object, params: Params): object {
  return texts(params, 'expand').reduce((shown, path) => expand(view, shown, path.split('.'), path), object)
}

function expand(view: View, object: any, [head = '', ...rest]: string[], path: string): any {
  if (head === 'data' && Array.isArray(object.data))
    return { ...object, data: object.data.map((each: object) => expand(view, each, rest, path)) }
  const value = expandable(view, object, head)
  if (value === undefined) throw invalid(`This property cannot be expanded (${path}).`, 'expand', 'parameter_invalid')
  if (value === null || rest.length === 0) return { ...object, [head]: value }
  return { ...object, [head]: expand(view, value, rest, path) }
}

function expandable(view: View, object: any, name: string): object | null | undefined {
  if (name === 'refunds' && object.object === 'charge') {
    const refunds = view.all('refund').filter(({ charge }) => charge === object.id)
    return pageOf(refunds, `/v1/charges/${object.id}/refunds`, {}, 0)
  }
  const value = object[name]
  if (
    !['latest_charge', 'charge', 'payment_intent', 'payment_method', 'balance_transaction', 'customer'].includes(name)
  )
    return undefined
  if (typeof value !== 'string') return value
  return name === 'payment_method' ? paymentMethodOf(value) : view.find(value)
}

/** The one object of the path. */
export function retrieved(books: Books, kind: string, id: string): StripeObject {
  const found = books.find(id)
  if (found?.object !== kind) throw missing(kind, id, kind === 'payment_intent' ? 'intent' : kind)
  return found
}
