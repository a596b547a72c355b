import { formatMoney, money } from '#kernel/money.ts'
import { type Language, languageOf } from '#platform/mail/languages.ts'
import { type Said, writeLetter } from '#platform/mail/letter.ts'
import type { OrderMailKind, Telling, WriteOrderMail } from '../../application/send-order-mails.ts'
import type { Order, Unfulfillable } from '../../domain/order.ts'
import { de } from './de.ts'
import { en } from './en.ts'

/** What a mail about an order says, as its reader writes it. */
export type Facts = {
  readonly shop: string
  readonly number: string
  /** The money that it is about: what came, went back, or is to be paid. */
  readonly amount: string
  /** `2 × Mug (blue): $24.00`; of a parcel without prices. */
  readonly lines: readonly string[]
  readonly totals: readonly string[]
  /** Until when the goods are held for a payment; null once that is decided. */
  readonly heldUntil: string | null
  readonly carrier: string | null
  readonly trackingNumber: string | null
  /** Whether more parcels follow. */
  readonly isPart: boolean
  /** Whether a cancelled order had been paid. */
  readonly wasPaid: boolean
  readonly why: Unfulfillable | undefined
  /** The order in the shop front. */
  readonly url: string
}

/** What the mails of one language say. */
export type Letters = Readonly<Record<OrderMailKind, (facts: Facts) => Said>> & {
  readonly footer: (shop: string) => string
  readonly totals: Readonly<Record<'subtotal' | 'discount' | 'shipping' | 'tax' | 'taxIncluded' | 'total', string>>
}

/** One file for each language that mails are written in. */
const LETTERS: Readonly<Record<Language, Letters>> = { en, de }

/**
 * Writes mails about orders in the language that they were bought in. A guest's token stands behind the #: browsers send
 * that to no server. Links lead to the configured shop front.
 */
export const orderMailWriter =
  (shop: string, storefrontUrl: string): WriteOrderMail =>
  (telling) => {
    const { order, job, name, token } = telling
    const letters = LETTERS[languageOf(order.locale)]
    const url = `${storefrontUrl}/orders/${order.id}${token === null ? '' : `#token=${token}`}`
    const facts = { shop, url, ...factsOf(telling, letters) }
    return writeLetter(letters[job.kind](facts), { name, locale: order.locale }, letters.footer(shop))
  }

function factsOf({ order, job, amount, parcel }: Telling, letters: Letters): Omit<Facts, 'shop' | 'url'> {
  const { locale, holdUntil } = order
  return {
    number: order.number,
    amount: formatMoney(amount, locale),
    lines: parcel ? parcelOf(order, parcel.items) : linesOf(order),
    totals: totalsOf(order, letters),
    heldUntil: holdUntil && formatTime(holdUntil, locale),
    carrier: parcel?.carrier ?? null,
    trackingNumber: parcel?.trackingNumber ?? null,
    isPart: job.complete === false,
    wasPaid: job.from === 'paid' && order.totalMinor > 0,
    why: job.why,
  }
}

type Line = Order['lines'][number]
const nameOf = ({ title, variantTitle }: Line): string => (variantTitle ? `${title} (${variantTitle})` : title)

const linesOf = ({ lines, currency, locale }: Order): string[] =>
  lines.map((line) => {
    const price = formatMoney(money(line.subtotalMinor, currency), locale)
    return `${line.quantity} × ${nameOf(line)}: ${price}`
  })

const parcelOf = ({ lines }: Order, items: NonNullable<Telling['parcel']>['items']): string[] =>
  lines.flatMap((line) => {
    const quantity = items.reduce((sum, item) => sum + (item.itemId === line.id ? item.quantity : 0), 0)
    return quantity > 0 ? [`${quantity} × ${nameOf(line)}`] : []
  })

/** What the lines come to, how, and the tax in it or on top of it. */
function totalsOf(order: Order, { totals }: Letters): string[] {
  const row = (label: string, minor: number) => `${label}: ${formatMoney(money(minor, order.currency), order.locale)}`
  const rowIf = (label: string, minor: number) => (minor === 0 ? [] : [row(label, minor)])
  return [
    row(totals.subtotal, order.subtotalMinor),
    ...rowIf(totals.discount, -order.discountMinor),
    ...rowIf(totals.shipping, order.shippingMinor),
    ...(order.taxIncluded ? [] : rowIf(totals.tax, order.taxMinor)),
    row(totals.total, order.totalMinor),
    ...(order.taxIncluded ? rowIf(totals.taxIncluded, order.taxMinor) : []),
  ]
}

const formatTime = (time: Date, locale: string): string =>
  new Intl.DateTimeFormat(locale, {
    day: 'numeric',
    month: 'long',
    hour: '2-digit',
    minute: '2-digit',
    timeZone: 'UTC',
    timeZoneName: 'short',
  }).format(time)
