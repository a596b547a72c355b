import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mailsTo, type ShownMail } from '../../kit/mails.ts'
import { bearer } from '../users/people.ts'
import { ADDRESS, type Buying, openForBuying, type Placed } from './buying.ts'

/** The mails about orders as the dev mailbox shows them: what they say, to whom, in which language. */
let buying: Buying
const folder = mkdtempSync(join(tmpdir(), 'stoa-mails-'))
beforeAll(async () => {
  const file = join(folder, 'store.json')
  const prices = { USD: 500, EUR: 500, JPY: 700, KWD: 1500 }
  writeFileSync(file, JSON.stringify({ shippingMethods: [{ id: 'standard', title: 'Standard', prices }] }))
  buying = await openForBuying({
    STOREFRONT_URL: 'https://shop.example',
    MAIL_FROM: 'Mug & Co <shop@shop.example>',
    CURRENCIES: 'USD,EUR,JPY,KWD',
    STORE_FILE: file,
  })
})
afterAll(async () => {
  await buying?.close()
  rmSync(folder, { recursive: true, force: true })
})

const anAddress = () => `${randomUUID()}@example.com`
const told = (email: string) => mailsTo(buying.shop, email)
const subjects = async (email: string) => (await told(email)).map(({ subject }) => subject).sort()
const last = async (email: string, subject: RegExp): Promise<ShownMail> => {
  const mail = (await told(email)).findLast((one) => subject.test(one.subject))
  if (!mail) throw new Error(`Nothing about ${subject}: ${await subjects(email)}`)
  return mail
}
type Wanted = { variant?: object; product?: object; more?: object; headers?: Record<string, string> }
async function order(email: string, { variant, product, more, headers }: Wanted = {}): Promise<Placed> {
  const items = [{ variantId: await buying.aVariant(variant, product), quantity: 2 }]
  return buying.placed(await buying.aCart(items, { email, ...more }, headers))
}
async function paid(email: string, wanted: Wanted = {}): Promise<Placed> {
  const one = await order(email, wanted)
  expect((await buying.pay(one)).body.status).toBe('succeeded')
  await buying.shop.app.settle()
  return one
}
const post = async (path: string, body: object, headers: Record<string, string>) => {
  const answer = await buying.send('POST', path, body, headers)
  expect(answer.status, answer.text).toBeLessThan(300)
  return answer
}
const numberOf = ({ body }: Placed): string => body.number
const GERMAN = { 'accept-language': 'fr;q=0.1, de-AT, de;q=0.9, en;q=0.8' }

describe('a mail is sent when an order', () => {
  it('is placed: its lines, what it comes to, and until when it is held', async () => {
    const email = anAddress()
    const one = await order(email)
    const { subject, text } = await last(email, /^Your order/)
    expect(subject).toBe(`Your order ${numberOf(one)} at Mug & Co`)
    expect(text).toMatch(/^Hello,\n/)
    expect(text).toContain('- 2 × Mug: $24.00')
    expect(text).toMatch(/- Subtotal: \$24\.00\n/)
    expect(text).toMatch(/- Total: \$\d/)
    expect(text).toMatch(/held for you until \w+ \d+ at \d\d:\d\d [AP]M UTC/)
    expect(text).toContain(`https://shop.example/orders/${one.id}#token=${one.token}`)
  })

  it('is paid: by name now, with the tax', async () => {
    const email = anAddress()
    const one = await paid(email)
    const { subject, text } = await last(email, /^Your payment/)
    expect(subject).toBe(`Your payment for order ${numberOf(one)} at Mug & Co`)
    expect(text).toMatch(/^Hello Ann Lee,\n/)
    const { total, tax, taxIncluded } = one.body
    expect(text).toContain(`your payment of $${(total.amountMinor / 100).toFixed(2)} for order`)
    expect(text).toContain(`${taxIncluded ? 'Tax included' : 'Tax'}: $${(tax.amountMinor / 100).toFixed(2)}`)
  })

  it('is shipped, in parts: what is in each parcel, with whom, and whether more follows', async () => {
    const email = anAddress()
    const one = await paid(email)
    const [line] = one.body.items
    const staff = await buying.staff('fulfilment')
    const parcel = { lines: [{ itemId: line.id, quantity: 1 }], carrier: 'Royal Mail', trackingNumber: 'RM 123 GB' }
    await post(`/v1/orders/${one.id}/shipments`, parcel, staff)
    const part = await last(email, /on its way/)
    expect(part.subject).toBe(`A part of your order ${numberOf(one)} is on its way`)
    expect(part.text).toContain('- 1 × Mug\n')
    expect(part.text).toContain('- Carrier: Royal Mail\n- Tracking number: RM 123 GB\n')
    expect(part.text).toContain('The rest follows')
    await post(`/v1/orders/${one.id}/shipments`, {}, staff)
    const rest = await last(email, /^Your order .* on its way/)
    expect(rest.text).toContain('- 1 × Mug\n')
    expect(rest.text).not.toMatch(/The rest follows|Carrier|Tracking/)
  })

  it('is cancelled unpaid: there is nothing to pay', async () => {
    const email = anAddress()
    const one = await order(email)
    await post(`/v1/orders/${one.id}/cancellation`, {}, one.headers)
    const { text } = await last(email, /is cancelled$/)
    expect(text).toContain('Nothing is to be paid for it.')
  })

  it('is cancelled paid: how much goes back, and again when it was sent', async () => {
    const email = anAddress()
    const one = await paid(email)
    await post(`/v1/orders/${one.id}/cancellation`, {}, one.headers)
    const amount = `$${(one.body.total.amountMinor / 100).toFixed(2)}`
    expect((await last(email, /is cancelled$/)).text).toContain('What you paid goes back')
    expect((await last(email, /sent .* back/)).subject).toBe(`Mug & Co has sent ${amount} back to you`)
  })

  it('is refunded in part: that part', async () => {
    const email = anAddress()
    const one = await paid(email)
    const refund = { amount: { amountMinor: 500, currency: 'USD' }, reason: 'A scratch' }
    await post(`/v1/payments/${one.body.payment.id}/refunds`, refund, await buying.asOwner())
    const { text } = await last(email, /sent .* back/)
    expect(text).toContain(`For your order ${numberOf(one)}, $5.00 was sent back`)
    expect(text).not.toContain('scratch')
  })

  it('could not be paid: what to do, once in an hour and not when it was paid meanwhile', async () => {
    const email = anAddress()
    const one = await order(email)
    const failures = async () => (await subjects(email)).filter((subject) => /did not work$/.test(subject)).length
    await buying.pay(one, 'tok_declined')
    await buying.pay(one, 'tok_declined')
    expect(await failures()).toBe(1)
    await buying.pay(one, 'tok_declined')
    expect(await failures()).toBe(1)
    const { text } = await last(email, /did not work$/)
    expect(text).toMatch(
      /was declined\. Nothing was taken\.\n\nYou can try again, with another card .* held for you until/,
    )
    expect(text).toContain(`Try again:\nhttps://shop.example/orders/${one.id}#token=`)

    const quick = anAddress()
    const two = await order(quick)
    await buying.pay(two, 'tok_declined')
    await buying.pay(two)
    expect(await subjects(quick)).toEqual([
      `Your order ${numberOf(two)} at Mug & Co`,
      `Your payment for order ${numberOf(two)} at Mug & Co`,
    ])
  })

  it('could not be paid, unless that is not the fault of the card', async () => {
    const email = anAddress()
    const one = await order(email)
    const failed = { status: 'declined', decline: { code: 'not-received' } }
    expect((await buying.pay(one, 'tok_error')).body).toMatchObject(failed)
    expect(await subjects(email)).toEqual([`Your order ${numberOf(one)} at Mug & Co`])
    await buying.pay(one, 'tok_declined')
    expect((await last(email, /did not work$/)).text).toContain('was declined')
  })
})

describe('a mail is written', () => {
  it('in the language of the browser that made the cart, or ordered it', async () => {
    const [inCart, inOrder] = [anAddress(), anAddress()]
    await paid(inCart, { headers: GERMAN })
    const { text } = await last(inCart, /^Ihre Zahlung/)
    expect(text).toMatch(/^Guten Tag Ann Lee,\n/)
    expect(text).toMatch(/- 2 × Mug: \$ 24,00\n/)
    expect(await last(inCart, /^Ihre Bestellung/)).toMatchObject({ html: expect.stringContaining('<html lang="de">') })
    const cart = await buying.aCart([{ variantId: await buying.aVariant(), quantity: 1 }], { email: inOrder })
    expect((await buying.order(cart, {}, GERMAN)).status).toBe(201)
    expect(await subjects(inOrder)).toEqual([expect.stringMatching(/^Ihre Bestellung/)])
  })

  it('says each of them in German', async () => {
    const email = anAddress()
    const one = await paid(email, { headers: GERMAN })
    const staff = await buying.staff('fulfilment')
    await post(`/v1/orders/${one.id}/shipments`, { carrier: 'Post', trackingNumber: 'A1' }, staff)
    expect((await last(email, /unterwegs$/)).text).toContain('- Versand mit: Post\n- Sendungsnummer: A1\n')
    const two = await order(email, { headers: GERMAN })
    await buying.pay(two, 'tok_declined')
    expect((await last(email, /nicht geklappt$/)).text).toContain('wurde abgelehnt')
    await post(`/v1/orders/${two.id}/cancellation`, {}, two.headers)
    expect((await last(email, /storniert$/)).text).toContain('Für sie ist nichts zu bezahlen.')
    const three = await paid(email, { headers: GERMAN })
    await post(`/v1/orders/${three.id}/cancellation`, {}, three.headers)
    expect((await last(email, /zurückgezahlt$/)).text).toContain('zurückgezahlt')
  })

  it('in the language of the account, with a link that needs no token', async () => {
    const email = anAddress()
    const customer = bearer(await buying.people.customer(email))
    await buying.send('PATCH', '/v1/users/me', { locale: 'de' }, customer)
    const one = await paid(email, { headers: { ...customer, 'accept-language': 'en' } })
    const { text, html } = await last(email, /^Ihre Zahlung/)
    expect(text).toContain(`https://shop.example/orders/${one.id}\n`)
    expect(text + html).not.toContain('token=')
  })

  it.each([
    ['JPY', 1200, '¥2,400'],
    ['KWD', 12_345, 'KWD 24\\.690'],
  ])('with the digits of %s', async (currency, amountMinor, shown) => {
    const email = anAddress()
    const variant = { prices: [{ currency, amountMinor }], requiresShipping: false }
    const more = { currency, shippingMethod: undefined }
    await order(email, { variant, more })
    expect((await last(email, /^Your order/)).text).toMatch(new RegExp(`- 2 × Mug: (${shown})\n`))
  })
})

describe('what strangers wrote', () => {
  const EVIL = '<script>alert(1)</script>'

  it('is escaped, and is no header', async () => {
    const email = anAddress()
    const shippingAddress = { ...ADDRESS, name: EVIL }
    const one = await paid(email, { product: { title: `Mug ${EVIL}` }, more: { shippingAddress } })
    const staff = await buying.staff('fulfilment')
    await post(`/v1/orders/${one.id}/shipments`, { carrier: EVIL, trackingNumber: `${EVIL}"'` }, staff)
    const mails = await told(email)
    expect(mails).toHaveLength(3)
    for (const { html, subject } of mails) {
      expect(html).not.toMatch(/<script/i)
      expect(subject).not.toMatch(/script|[\r\n]/)
    }
    expect(mails.filter(({ html }) => html.includes('Hello &lt;script&gt;'))).toHaveLength(3)
  })

  it('breaks no line and ends no header', async () => {
    const email = anAddress()
    const variant = { sku: 'A' }
    await order(email, { variant, product: { title: 'Mug\u2028Bcc: all@example.com' } })
    const { text, subject } = await last(email, /^Your order/)
    expect(text).toContain('- 2 × Mug Bcc: all@example.com: $24.00\n')
    expect(subject).not.toContain('Bcc')
    for (const bad of ['a@example.com\r\nBcc: b@example.com', 'a@example.com, b@example.com', 'a <b@example.com>']) {
      const cart = { items: [{ variantId: await buying.aVariant(), quantity: 1 }], email: bad }
      expect((await buying.send('POST', '/v1/carts', cart)).status).toBe(422)
    }
  })

  it('greets nobody before the order is paid', async () => {
    const email = anAddress()
    await order(email, { more: { shippingAddress: { ...ADDRESS, name: 'You won, call 555 0100' } } })
    const [mail] = await told(email)
    expect(`${mail?.text}${mail?.html}`).not.toContain('555')
  })
})

describe('nobody is written to', () => {
  it('about a free payment, an event that is old news, or as somebody who was erased', async () => {
    const [free, late, gone] = [anAddress(), anAddress(), anAddress()]
    const variant = { prices: [{ currency: 'USD', amountMinor: 0 }], requiresShipping: false }
    const one = await order(free, { variant, more: { shippingMethod: undefined } })
    expect(await subjects(free)).toEqual([`Your order ${numberOf(one)} at Mug & Co`])

    await order(late)
    buying.shop.clock.advance(4 * 24 * 60)
    expect(await subjects(late)).toEqual([])

    const two = await paid(gone)
    const staff = await buying.staff('fulfilment')
    await post(`/v1/orders/${two.id}/shipments`, {}, staff)
    await buying.shop.app.settle()
    await post('/v1/erasures', { email: gone }, await buying.asOwner())
    expect(await subjects(gone)).toEqual([])
    expect(await told('erased@erased.invalid')).toEqual([])
    const failed = await buying.rows(sql`select from graphile_worker.jobs where last_error is not null`)
    expect(failed).toEqual([])
  })
})

it('writes to one address about unpaid orders 20 times an hour; who paid is always told', async () => {
  const limited = await openForBuying({ RATE_LIMITS: 'on', STOREFRONT_URL: 'https://shop.example' })
  try {
    const email = anAddress()
    const variantId = await limited.aVariant({ onHand: 100 })
    const one = () => limited.aCart([{ variantId, quantity: 1 }], { email }).then(limited.placed)
    const [first] = await Promise.all(Array.from({ length: 22 }, one))
    expect(await mailsTo(limited.shop, email)).toHaveLength(20)
    if (first) await limited.pay(first)
    expect((await mailsTo(limited.shop, email)).slice(20).map(({ subject }) => subject)).toEqual([
      expect.stringMatching(/^Your payment/),
    ])
  } finally {
    await limited.close()
  }
})
