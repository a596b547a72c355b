import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PASSWORD, peopleOf } from '../contexts/users/people.ts'
import { type Sent, type TestShop, testShop } from '../kit/shop.ts'

/** ASVS 6.3.8: nobody learns from an answer, or from how long it takes, whether an address has an account. */
let shop: TestShop
const KNOWN = 'known@shop.example'
beforeAll(async () => {
  shop = await testShop()
  await peopleOf(shop).register(KNOWN)
})
afterAll(() => shop.close())

const SAMPLES = 300
const strangers = { count: 0 }
/** As long as the known one, so that answers that repeat it are. */
const stranger = () => {
  strangers.count += 1
  return `n${String(strangers.count).padStart(4, '0')}@shop.example`
}

const ASKS: readonly [string, (email: string) => Promise<Sent>][] = [
  ['register', (email) => shop.send('POST', '/v1/auth/register', { email, password: PASSWORD })],
  ['login', (email) => shop.send('POST', '/v1/auth/login', { email, password: 'not the password of anybody' })],
  ['forgot-password', (email) => shop.send('POST', '/v1/auth/forgot-password', { email })],
  ['resend-verification', (email) => shop.send('POST', '/v1/auth/resend-verification', { email })],
]

describe('Enumeration', () => {
  test.each(ASKS)('%s: same status, headers and body, but for the address itself', async (_, ask) => {
    const told = async (email: string) => {
      const { status, text, headers } = await ask(email)
      const names = Object.keys(headers).filter((name) => name !== 'date')
      return {
        status,
        text: text.replace(email, 'ADDRESS').replace(/"instance":"[^"]*"/, ''),
        names,
        length: text.length,
      }
    }
    expect(await told(KNOWN)).toEqual(await told(stranger()))
  })

  test.each(ASKS)(
    `%s: means over ${SAMPLES} samples each differ by less than 2 ms`,
    { timeout: 300_000 },
    async (_, ask) => {
      let best = Number.POSITIVE_INFINITY
      for (let round = 0; round < 3 && best >= 2; round += 1) best = Math.min(best, await difference(ask))
      expect(best).toBeLessThan(2)
    },
  )

  /** Of the faster nine tenths, taken in turns: what else the machine does hits both alike, now and then hard. */
  async function difference(ask: (email: string) => Promise<Sent>): Promise<number> {
    const times: [number[], number[]] = [[], []]
    for (let i = 0; i < SAMPLES; i += 1)
      for (const which of i % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
        const email = which === 0 ? KNOWN : stranger()
        const start = performance.now()
        await ask(email)
        times[which].push(performance.now() - start)
      }
    const [known, unknown] = times.map((all) => meanOf(all.sort((a, b) => a - b).slice(0, (SAMPLES * 9) / 10)))
    return Math.abs(known! - unknown!)
  }
  const meanOf = (numbers: readonly number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length
})
