import { randomBytes } from 'node:crypto'
import { newId } from '#platform/ids.ts'
import { type makeGoods, only, price, variantsIn } from './carts.ts'
import type { Rows, TwinDatabase } from './database.ts'
import { statements } from './statements.ts'

export const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000)

/** Places a cart's order: begin, cart, payment, order with its lines, hold, events and receipt, commit. */
export const placeOrder = (
  { transaction }: TwinDatabase,
  goodsOf: ReturnType<typeof makeGoods>,
  cartId: string,
  keyHash: Buffer = randomBytes(32),
) =>
  transaction(async (send) => {
    const [id, paymentId, now, holdUntil] = [newId('ord'), newId('pay'), new Date(), inMinutes(15)]
    const cart = only(await send(statements.freezeCart, [id, now, cartId]))
    const number = String(1000 + cart.serial)
    const { lines, subtotalMinor, shippingMinor, taxMinor, totalMinor } = price(
      cart,
      await goodsOf(send, variantsIn(cart)),
    )
    await send(statements.insertPayment, [paymentId, id, number, totalMinor, 'USD', holdUntil, now])
    await send(statements.insertOrder, [
      ...[id, number, cartId, paymentId, 'USD', subtotalMinor, shippingMinor, taxMinor, totalMinor, cart.email],
      ...[keyHash, cart.shipping_address, JSON.stringify({ id: 'standard', title: 'Standard' }), holdUntil, now],
      JSON.stringify(lines),
    ])
    const held = await send(statements.holdStock, [
      ...[lines.map((line) => line.variantId), lines.map((line) => line.quantity)],
      ...[lines.map((line) => line.unitPriceMinor), 'USD', id, now],
    ])
    if (held.length !== lines.length) throw new Error('short')
    const payment = { id: paymentId, status: 'open', amount: { amountMinor: totalMinor, currency: 'USD' } }
    const order = {
      id,
      number,
      status: 'pending',
      items: lines,
      subtotalMinor,
      taxMinor,
      totalMinor,
      holdUntil,
      payment,
    }
    const data = { orderId: id, number, totalMinor, currency: 'USD', paymentId }
    await send(statements.finishWithReceipt, [
      ...['twin', now, JSON.stringify([{ type: 'orders.placed.v1', subject: id, data }])],
      ...[keyHash, keyHash, `/v1/orders/${id}`, Buffer.from(JSON.stringify(order))],
    ])
    return order
  })

/** Publishes events as the relay does: claimed in a batch, their orders paid and stock committed, in one transaction. */
export const publishEvents = ({ transaction }: TwinDatabase): Promise<number> =>
  transaction(async (send) => {
    const events = await send(statements.claimEvents, [])
    if (events.length === 0) return 0
    const now = new Date()
    const captured = events.filter((event) => event.type === 'payments.captured.v1')
    if (captured.length > 0) {
      await send(statements.consume, [now, captured.map((event) => event.id)])
      const paid = await send(statements.markPaid, [captured.map((event) => event.data.orderId), now])
      await send(statements.commitStock, [paid.map((order) => order.id), now])
      await send(statements.finish, ['relay', now, JSON.stringify(paid.map(paidEvent))])
    }
    await send(statements.markPublished, [now, events.map((event) => event.id)])
    return events.length
  })

const paidEvent = ({ id, number, totalMinor, currency }: Rows[number]) => ({
  type: 'orders.paid.v1',
  subject: id,
  data: { orderId: id, number, totalMinor, currency },
})
