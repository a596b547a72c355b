import type { Buying } from '../contexts/orders/buying.ts'
import { PASSWORD } from '../contexts/users/people.ts'
import type { Document } from './document.ts'
import { type Learned, makeLearned } from './learned.ts'

/** Values worth trying, by the name of the property or parameter; answers add to those that are named here. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  sku: ['MUG-1'],
  method: ['sandbox'],
  provider: ['sandbox'],
  token: ['tok_ok', 'tok_declined', 'tok_error'],
  currency: ['USD', 'EUR'],
  countryCode: ['GB', 'US'],
  shippingMethod: ['standard'],
  location: ['main'],
  roles: ['support', 'catalogue'],
  email: ['ann@example.com'],
  password: [PASSWORD],
  currentPassword: [PASSWORD],
  ...{ name: [], handle: [], idOrHandle: [], nextCursor: [], cursor: [], refreshToken: [] },
}
const LISTS = ['/v1/users', '/v1/products', '/v1/payments', '/v1/orders', '/v1/roles', '/v1/auth/sessions']

/** Puts something of everything into a shop; resolves with the API's document and what there is to know of it. */
export async function furnish(buying: Buying): Promise<{ document: Document; learned: Learned }> {
  const learned = makeLearned(KNOWN)
  await buying.aVariant({ sku: 'MUG-1', onHand: 900 })
  for (const step of ['order', 'payment', 'payment', 'cart'] as const) await aBuyerComes(buying, learned, step)
  await buying.shop.app.settle()
  await buying.staff('support')
  const { body: products } = await buying.send('GET', '/v1/products')
  for (const { handle } of products.data) learned.hear({ idOrHandle: handle })
  const owner = await buying.asOwner()
  for (const path of LISTS) learned.hear((await buying.send('GET', path, undefined, owner)).body)
  return { document: (await buying.send('GET', '/openapi.json')).body, learned }
}

export type Step = 'cart' | 'order' | 'payment'

/** Somebody fills a cart, orders it and pays, up to this step, as a shop front would have it. */
export async function aBuyerComes(buying: Buying, learned: Learned, upTo: Step): Promise<void> {
  const variants = [await buying.aVariant({ onHand: 900 }), await buying.aVariant({ onHand: 900 })]
  const cart = await buying.aCart(variants.map((variantId) => ({ variantId, quantity: 2 })))
  learned.hear({ id: cart.id, token: cart.token })
  if (upTo === 'cart') return
  const order = await buying.placed(cart)
  learned.hear(order.body)
  if (upTo === 'payment') await buying.pay(order)
}
