import { type AddNoteNeeds, addNote } from './add-note.ts'
import { type CancelOrderNeeds, cancelOrder } from './cancel-order.ts'
import { addItem, type ChangeCartNeeds, changeDetails, readCart, setQuantity } from './change-cart.ts'
import { type CountRefundNeeds, countRefund } from './count-refund.ts'
import { type CreateCartNeeds, createCart } from './create-cart.ts'
import { type ExpireOrdersNeeds, expireOrders } from './expire-orders.ts'
import { type MergeCartsNeeds, mergeCarts } from './merge-carts.ts'
import { type PlaceOrderNeeds, placeOrder } from './place-order.ts'
import { type ReadOrderNeeds, readOrder } from './read-orders.ts'
import { type SendOrderMailNeeds, sendOrderMail } from './send-order-mails.ts'
import { deliverOrder, type ShipOrderNeeds, shipOrder } from './ship-order.ts'
import { type SwitchCheckoutNeeds, switchCheckout } from './switch-checkout.ts'
import { type TakeBackNeeds, takeBackItems } from './take-back.ts'

export type OrdersNeeds = CreateCartNeeds &
  ChangeCartNeeds &
  MergeCartsNeeds &
  PlaceOrderNeeds &
  ReadOrderNeeds &
  CancelOrderNeeds &
  ShipOrderNeeds &
  TakeBackNeeds &
  CountRefundNeeds &
  AddNoteNeeds &
  SwitchCheckoutNeeds &
  ExpireOrdersNeeds &
  SendOrderMailNeeds

/** Everything this context can be asked to do. */
export const ordersUseCases = (needs: OrdersNeeds) => ({
  createCart: createCart(needs),
  readCart: readCart(needs),
  addItem: addItem(needs),
  setQuantity: setQuantity(needs),
  changeDetails: changeDetails(needs),
  mergeCarts: mergeCarts(needs),
  placeOrder: placeOrder(needs),
  readOrder: readOrder(needs),
  cancelOrder: cancelOrder(needs),
  shipOrder: shipOrder(needs),
  deliverOrder: deliverOrder(needs),
  takeBackItems: takeBackItems(needs),
  countRefund: countRefund(needs),
  addNote: addNote(needs),
  expireOrders: expireOrders(needs),
  switchCheckout: switchCheckout(needs),
  sendOrderMail: sendOrderMail(needs),
})

export type OrdersUseCases = ReturnType<typeof ordersUseCases>
