import type { Block } from '#platform/mail/layout.ts'
import type { Letters } from './letters.ts'

const text = (said: string): Block => ({ kind: 'text', text: said })
const list = (items: readonly string[]): Block => ({ kind: 'list', items })
const button = (label: string, url: string): Block => ({ kind: 'button', label, url })

const WHY = {
  cancelled: 'die Bestellung storniert worden war',
  'sold-out': 'die Zeit zum Bezahlen um war und die Ware verkauft',
  'ordered-anew': 'die Zeit zum Bezahlen um war und ihr Warenkorb für eine andere Bestellung verwendet',
} as const

/** The mails about orders, in German. */
export const de: Letters = {
  footer: (shop) => `${shop} schreibt Ihnen, weil diese Adresse dort bei einer Bestellung angegeben wurde.`,
  totals: {
    subtotal: 'Zwischensumme',
    discount: 'Rabatt',
    shipping: 'Versand',
    tax: 'Steuer',
    taxIncluded: 'Darin enthaltene Steuer',
    total: 'Summe',
  },
  placed: ({ shop, number, lines, totals, heldUntil, url }) => ({
    subject: `Ihre Bestellung ${number} bei ${shop}`,
    blocks: [
      text(`${shop} hat Ihre Bestellung ${number} erhalten:`),
      list(lines),
      list(totals),
      ...(heldUntil
        ? [text(`Sie ist bis ${heldUntil} für Ihre Zahlung zurückgelegt. Haben Sie gerade bezahlt, ist alles gut.`)]
        : []),
      button('Bestellung ansehen', url),
    ],
  }),
  paid: ({ shop, number, amount, lines, totals, url }) => ({
    subject: `Ihre Zahlung für Bestellung ${number} bei ${shop}`,
    blocks: [
      text(`Vielen Dank: Ihre Zahlung von ${amount} für Bestellung ${number} ist angekommen.`),
      list(lines),
      list(totals),
      button('Bestellung ansehen', url),
    ],
  }),
  shipped: ({ shop, number, lines, carrier, trackingNumber, isPart, url }) => ({
    subject: isPart ? `Ein Teil Ihrer Bestellung ${number} ist unterwegs` : `Ihre Bestellung ${number} ist unterwegs`,
    blocks: [
      text(`${shop} hat ${isPart ? 'einen Teil Ihrer' : 'Ihre'} Bestellung ${number} verschickt:`),
      list(lines),
      ...(carrier || trackingNumber
        ? [
            list([
              ...(carrier ? [`Versand mit: ${carrier}`] : []),
              ...(trackingNumber ? [`Sendungsnummer: ${trackingNumber}`] : []),
            ]),
          ]
        : []),
      ...(isPart ? [text('Der Rest folgt; dann erhalten Sie noch eine Mail.')] : []),
      button('Bestellung ansehen', url),
    ],
  }),
  cancelled: ({ shop, number, wasPaid, url }) => ({
    subject: `Ihre Bestellung ${number} bei ${shop} ist storniert`,
    blocks: [
      text(`Ihre Bestellung ${number} ist storniert.`),
      text(
        wasPaid
          ? 'Was Sie bezahlt haben, geht auf demselben Weg zurück; Sie erhalten noch eine Mail, wenn es abgeschickt ist.'
          : 'Für sie ist nichts zu bezahlen.',
      ),
      button('Bestellung ansehen', url),
    ],
  }),
  refunded: ({ shop, number, amount, url }) => ({
    subject: `${shop} hat Ihnen ${amount} zurückgezahlt`,
    blocks: [
      text(
        `Für Ihre Bestellung ${number} wurden ${amount} auf demselben Weg zurückgezahlt. Bis Ihre Bank es zeigt, können einige Tage vergehen.`,
      ),
      button('Bestellung ansehen', url),
    ],
  }),
  'payment-failed': ({ shop, number, amount, heldUntil, url }) => ({
    subject: `Ihre Zahlung für Bestellung ${number} bei ${shop} hat nicht geklappt`,
    blocks: [
      text(`Ihre Zahlung von ${amount} für Bestellung ${number} wurde abgelehnt. Es wurde nichts abgebucht.`),
      text(
        `Sie können es noch einmal versuchen, auch mit einer anderen Karte oder einem anderen Zahlungsmittel${heldUntil ? `: die Bestellung ist bis ${heldUntil} für Sie zurückgelegt` : ''}. Wird es wieder abgelehnt, fragen Sie Ihre Bank. Haben Sie inzwischen bezahlt, ist nichts zu tun.`,
      ),
      button('Noch einmal versuchen', url),
    ],
  }),
  unfulfillable: ({ shop, number, amount, why = 'sold-out', url }) => ({
    subject: `Ihre Bestellung ${number} bei ${shop} kann nicht ausgeführt werden: Ihr Geld geht zurück`,
    blocks: [
      text(
        `Es tut uns leid: Ihre Zahlung für Bestellung ${number} kam an, als ${WHY[why]}. Sie erhalten diese Ware nicht.`,
      ),
      text(
        `Ihre ganze Zahlung, ${amount}, geht auf demselben Weg zurück. Sie müssen nichts tun; Sie erhalten noch eine Mail, wenn sie abgeschickt ist.`,
      ),
      button('Bestellung ansehen', url),
    ],
  }),
  'paid-twice': ({ shop, number, amount, url }) => ({
    subject: `${shop} hat Ihnen ${amount} zurückgezahlt`,
    blocks: [
      text(
        `Ihre Bestellung ${number} wurde mehr als einmal bezahlt. Die überzählige Zahlung, ${amount}, wurde auf demselben Weg zurückgezahlt.`,
      ),
      text('An Ihrer Bestellung ändert sich nichts. Bis Ihre Bank es zeigt, können einige Tage vergehen.'),
      button('Bestellung ansehen', url),
    ],
  }),
}
