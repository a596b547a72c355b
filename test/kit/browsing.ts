import { setTimeout as pause } from 'node:timers/promises'
import { fillCart, send } from './buyer.ts'

const LOOKS_EVERY_MS = 10

/** What people who browsed saw: how long each answer took, in milliseconds, and each that was not 200, in words. */
export type Looks = { readonly times: readonly number[]; readonly wrong: readonly string[] }

/**
 * So many people look at the list, a product and their cart, again and again, each at the URL that has their number.
 * Resolves when they have begun.
 */
export async function startBrowsing(
  people: number,
  urlOf: (person: number) => string,
  variantId: string,
): Promise<{ readonly stop: () => Promise<Looks> }> {
  let isOn = true
  const [times, wrong]: [number[], string[]] = [[], []]
  const browse = async (url: string) => {
    const cart = (await fillCart(url, [{ variantId, quantity: 1 }])) as { id: string; token: string }
    while (isOn)
      for (const path of ['/v1/products', '/v1/products/mug', `/v1/carts/${cart.id}`]) {
        const began = performance.now()
        const { status } = await send(url, 'GET', path, undefined, { 'x-cart-token': cart.token })
        times.push(performance.now() - began)
        if (status !== 200) wrong.push(`${path} was answered ${status || 'not at all'}`)
        await pause(LOOKS_EVERY_MS)
      }
  }
  const browsing = Promise.all(Array.from({ length: people }, (_, i) => browse(urlOf(i))))
  await pause(200)
  return {
    stop: async () => {
      isOn = false
      await browsing
      return { times, wrong }
    },
  }
}
