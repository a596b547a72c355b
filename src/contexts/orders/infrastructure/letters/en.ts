import type { Block } from '#platform/mail/layout.ts'
import type { Letters } from './letters.ts'

const text = (said: string): Block => ({ kind: 'text', text: said })
const list = (items: readonly string[]): Block => ({ kind: 'list', items })
const button = (label: string, url: string): Block => ({ kind: 'button', label, url })

const WHY = {
  cancelled: 'the order had been cancelled',
  'sold-out': 'the time to pay was over and the goods had been sold',
  'ordered-anew': 'the time to pay was over and its cart had been used for another order',
} as const

/** The mails about orders, in English. */
export const en: Letters = {
  footer: (shop) => `${shop} sends this because this address was given with an order there.`,
  totals: {
    subtotal: 'Subtotal',
    discount: 'Discount',
    shipping: 'Shipping',
    tax: 'Tax',
    taxIncluded: 'Tax included',
    total: 'Total',
  },
  placed: ({ shop, number, lines, totals, heldUntil, url }) => ({
    subject: `Your order ${number} at ${shop}`,
    blocks: [
      text(`${shop} has your order ${number}:`),
      list(lines),
      list(totals),
      ...(heldUntil
        ? [text(`It is held for you until ${heldUntil}, for your payment. If you paid just now, all is well.`)]
        : []),
      button('See the order', url),
    ],
  }),
  paid: ({ shop, number, amount, lines, totals, url }) => ({
    subject: `Your payment for order ${number} at ${shop}`,
    blocks: [
      text(`Thank you: your payment of ${amount} for order ${number} has arrived.`),
      list(lines),
      list(totals),
      button('See the order', url),
    ],
  }),
  shipped: ({ shop, number, lines, carrier, trackingNumber, isPart, url }) => ({
    subject: isPart ? `A part of your order ${number} is on its way` : `Your order ${number} is on its way`,
    blocks: [
      text(`${shop} has sent${isPart ? ' a part of' : ''} your order ${number}:`),
      list(lines),
      ...(carrier || trackingNumber
        ? [
            list([
              ...(carrier ? [`Carrier: ${carrier}`] : []),
              ...(trackingNumber ? [`Tracking number: ${trackingNumber}`] : []),
            ]),
          ]
        : []),
      ...(isPart ? [text('The rest follows; you will get another mail then.')] : []),
      button('See the order', url),
    ],
  }),
  cancelled: ({ shop, number, wasPaid, url }) => ({
    subject: `Your order ${number} at ${shop} is cancelled`,
    blocks: [
      text(`Your order ${number} is cancelled.`),
      text(
        wasPaid
          ? 'What you paid goes back the way it came; you will get another mail when it is sent.'
          : 'Nothing is to be paid for it.',
      ),
      button('See the order', url),
    ],
  }),
  refunded: ({ shop, number, amount, url }) => ({
    subject: `${shop} has sent ${amount} back to you`,
    blocks: [
      text(`For your order ${number}, ${amount} was sent back the way you paid. Banks can take some days to show it.`),
      button('See the order', url),
    ],
  }),
  'payment-failed': ({ shop, number, amount, heldUntil, url }) => ({
    subject: `Your payment for order ${number} at ${shop} did not work`,
    blocks: [
      text(`Your payment of ${amount} for order ${number} was declined. Nothing was taken.`),
      text(
        `You can try again, with another card or another way to pay${heldUntil ? `: the order is held for you until ${heldUntil}` : ''}. If it is declined again, ask your bank. If you have paid meanwhile, there is nothing to do.`,
      ),
      button('Try again', url),
    ],
  }),
  unfulfillable: ({ shop, number, amount, why = 'sold-out', url }) => ({
    subject: `Your order ${number} at ${shop} cannot be fulfilled: your money goes back`,
    blocks: [
      text(`We are sorry: your payment for order ${number} arrived after ${WHY[why]}. You will not get these goods.`),
      text(
        `All of your payment, ${amount}, goes back the way it came. There is nothing to do; you will get another mail when it is sent.`,
      ),
      button('See the order', url),
    ],
  }),
  'paid-twice': ({ shop, number, amount, url }) => ({
    subject: `${shop} has sent ${amount} back to you`,
    blocks: [
      text(
        `Your order ${number} was paid more than once. The payment too many, ${amount}, was sent back the way it came.`,
      ),
      text('Your order is as it was. Banks can take some days to show the money.'),
      button('See the order', url),
    ],
  }),
}
