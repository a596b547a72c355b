import { randomUUID } from 'node:crypto'
import { ADDRESS, type Line, type Reply, send } from './buyer.ts'

export type Cart = { readonly id: string; readonly token: string }
type Headers = Record<string, string>

/** The proof of a guest who holds a cart. */
export const holding = (cart: Cart): Headers => ({ 'x-cart-token': cart.token })

/** A cart with these lines that is ready to be ordered: a guest's, or of whoever the headers name. Throws when there is none. */
export async function fullCart(url: string, items: readonly Line[], headers: Headers = {}): Promise<Cart> {
  const details = { email: 'ann@example.com', shippingAddress: ADDRESS, shippingMethod: 'standard' }
  const { status, body } = await send(url, 'POST', '/v1/carts', { currency: 'USD', items, ...details }, headers)
  if (status !== 201) throw new Error(`No cart: ${status} ${JSON.stringify(body)}`)
  return body
}

/** The cart as its holder sees it. */
export const readCart = async (url: string, { id }: Cart, headers: Headers): Promise<any> =>
  (await send(url, 'GET', `/v1/carts/${id}`, undefined, headers)).body

/** Logs in; the headers of the new session. Throws when that is refused. */
export async function logInAs(url: string, person: { email: string; password: string }): Promise<Headers> {
  const { status, body } = await send(url, 'POST', '/v1/auth/login', person)
  if (status !== 200) throw new Error(`Nobody could log in: ${status} ${JSON.stringify(body)}`)
  return { authorization: `Bearer ${body.accessToken}` }
}

/** Merges one cart into another; the headers prove that both are the caller's. */
export const mergeCarts = (
  url: string,
  into: Cart,
  from: Cart,
  proofs: Headers,
  key: string = randomUUID(),
): Promise<Reply> =>
  send(url, 'POST', `/v1/carts/${into.id}/merge`, { fromCartId: from.id }, { ...proofs, 'idempotency-key': key })

/** Sends a write without an Idempotency-Key: where one is optional that is another way through the code, without a transaction. */
export async function sendBare(url: string, method: string, path: string, body: object, headers: Headers) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as any }
}

/** What was answered though it is neither a success nor one of these refusals. */
export const oddAnswers = (replies: readonly Pick<Reply, 'status' | 'body'>[], ...codes: string[]): string[] =>
  replies.flatMap(({ status, body }) =>
    (status >= 200 && status < 300) || codes.includes(body?.code) ? [] : [`answered ${status} ${JSON.stringify(body)}`],
  )

/** Units of each variant in a cart, or in an order. */
export const unitsIn = ({ items }: { items: readonly Line[] }): Map<string, number> =>
  new Map(items.map(({ variantId, quantity }) => [variantId, quantity]))

/** Where other units are held than were acknowledged. */
export function wrongUnits(when: string, held: Map<string, number>, acknowledged: Map<string, number>): string[] {
  const ids = new Set([...held.keys(), ...acknowledged.keys()])
  return [...ids].flatMap((id) => {
    const [has, should] = [held.get(id) ?? 0, acknowledged.get(id) ?? 0]
    return has === should ? [] : [`${when}: ${has} of ${id}, and ${should} were acknowledged`]
  })
}
