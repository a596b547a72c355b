import type { CatalogContext } from '#contexts/catalog/index.ts'
import type { PaymentsContext, RefundsByLines } from '#contexts/payments/index.ts'
import type { OrderId } from '#kernel/ids.ts'
import { type Problems, refuserOf } from '#kernel/refusal.ts'
import { systemActor } from '#platform/db/system.ts'
import type { Reader } from '#platform/db/work.ts'
import { newId } from '#platform/ids.ts'
import { addJobs } from '#platform/jobs/queue.ts'
import { shopNameOf } from '#platform/mail/mail.ts'
import type { Context, Platform } from '#platform/platform.ts'
import type { PersonalData } from '#platform/privacy.ts'
import { failpoint } from '#platform/resilience/failpoints.ts'
import type { Config } from '#src/config.ts'
import { EXPIRE_AT_ONCE } from './application/expire-orders.ts'
import type { NamedAddressesNeeds } from './application/named-addresses.ts'
import { onPaymentsCaptured } from './application/on-payments-captured.ts'
import { onPaymentsChanged } from './application/on-payments-changed.ts'
import { onRefundsFailed } from './application/on-refunds-failed.ts'
import { ORDER_MAILS, type OrderMailJob, onOrderMailDue } from './application/send-order-mails.ts'
import type { Checkout, SwitchCheckout } from './application/switch-checkout.ts'
import { ordersUseCases } from './application/use-cases.ts'
import type { Order } from './domain/order.ts'
import { ordersProblems } from './domain/problems.ts'
import { makeCartStore } from './infrastructure/cart-store.ts'
import { cartRoutes } from './infrastructure/carts-http.ts'
import { lockCheckout, makeCheckoutState, readCheckout, saveCheckout } from './infrastructure/checkout-store.ts'
import { orderMailWriter } from './infrastructure/letters/letters.ts'
import { limitOrderMail } from './infrastructure/limits.ts'
import { claimMail, findShipment, recordMail, releaseMail } from './infrastructure/mail-store.ts'
import { orderMeasures } from './infrastructure/measures.ts'
import { makeOrderRecords } from './infrastructure/order-records.ts'
import { makeOrderStore } from './infrastructure/order-store.ts'
import { makeOrderViews } from './infrastructure/order-views.ts'
import { orderRoutes } from './infrastructure/orders-http.ts'
import { forgetOldCarts, personalData } from './infrastructure/personal-data.ts'
import type { OrderView, Timeline } from './infrastructure/schemas.ts'
import { makeShowOrder } from './infrastructure/show-order.ts'
import { staffOrderRoutes } from './infrastructure/staff-http.ts'
import { loadStoreSettings } from './infrastructure/store-file.ts'
import { storeRoutes } from './infrastructure/store-http.ts'

export type { Checkout } from './application/switch-checkout.ts'

const SWEEP_EVERY_MS = 10_000

export type OrdersContext = Context & {
  readonly readCheckout: () => Promise<Checkout>
  readonly switchCheckout: SwitchCheckout
  readonly refundsByLines: RefundsByLines
  /** All about one order by its number or id, for an operator; undefined when there is none. */
  readonly inspectOrder: (
    db: Reader,
    numberOrId: string,
  ) => Promise<{ order: OrderView; timeline: Timeline } | undefined>
  readonly personalData: PersonalData
}

type Neighbours = {
  readonly catalog: CatalogContext
  readonly payments: PaymentsContext
  readonly users: NamedAddressesNeeds
}

/** Builds orders: carts, orders and what becomes of them. */
export function orders(platform: Platform, config: Config, { catalog, payments, users }: Neighbours): OrdersContext {
  const { db, clock, encryption, guestTokens, limits, mail, perform, pump } = platform
  const settings = loadStoreSettings(config.storeFile, config.currencies)
  const store = makeOrderStore(encryption)
  const views = makeOrderViews(encryption)
  const showOrder = makeShowOrder(guestTokens, payments.paymentViews)
  const needs = {
    ...makeCartStore(encryption),
    ...store,
    ...makeOrderRecords(encryption),
    ...{ claimMail, recordMail, releaseMail, findShipment },
    ...{ readCheckout, lockCheckout, saveCheckout },
    ...catalog,
    ...payments,
    findAddress: users.findAddress,
    ...{ settings, guestTokens, failpoint, holdMinutes: config.holdMinutes },
    refuseByCatalog: refuserOf<Problems>(catalog.problems),
    numberOf: (serial: number) => `${config.orderNumberPrefix}${config.orderNumberStart - 1 + serial}`,
    showOrder: async (reader: Reader, id: OrderId) => {
      const order = await store.findOrder(reader, id)
      return order && (await showOrder.withPayment(reader, order, systemActor)).view
    },
    mail,
    orderToken: ({ id, tokenVersion }: Order) => guestTokens.guestToken(id, tokenVersion),
    mayGetMail: limitOrderMail(limits),
    writeOrderMail: orderMailWriter(shopNameOf(config), config.storefrontUrl),
    newCartId: () => newId('cart'),
    newItemId: () => newId('item'),
    newOrderId: () => newId('ord'),
    newShipmentId: () => newId('shp'),
    newReturnId: () => newId('rtn'),
    newNoteId: () => newId('note'),
  }
  const use = ordersUseCases(needs)
  const personal = personalData(encryption, payments)
  const checkoutState = makeCheckoutState(db, clock)
  const { paymentMethods } = payments

  pump({
    name: 'expire-orders',
    everyMs: SWEEP_EVERY_MS,
    run: async () => {
      const command = { actor: systemActor, requestId: 'expire-orders' }
      return (await perform(command, use.expireOrders)) === EXPIRE_AT_ONCE
    },
  })

  return {
    problems: ordersProblems,
    routes: async (app) => {
      await app.register(storeRoutes(settings, { checkoutState, holdMinutes: config.holdMinutes, paymentMethods }))
      await app.register(cartRoutes(use, platform))
      await app.register(orderRoutes(use, views, showOrder, platform))
      await app.register(staffOrderRoutes(use, views, showOrder, platform))
    },
    on: {
      ...Object.fromEntries(
        Object.keys(ORDER_MAILS).map((type) => [
          type,
          { 'orders.write-mail': onOrderMailDue((work, jobs) => addJobs(work.tx, jobs)) },
        ]),
      ),
      'payments.captured.v1': { 'orders.mark-paid': onPaymentsCaptured(needs) },
      'payments.refunded.v1': { 'orders.count-refund': onPaymentsChanged(needs, 'refunded') },
      'payments.refund-failed.v1': {
        'orders.follow-payment': onPaymentsChanged(needs, 'refund-failed'),
        'orders.uncount-refund': onRefundsFailed(needs),
      },
      'payments.authorised.v1': { 'orders.follow-payment': onPaymentsChanged(needs, 'authorised') },
      'payments.authorisation-lapsed.v1': {
        'orders.follow-payment': onPaymentsChanged(needs, 'authorisation-lapsed'),
      },
      'payments.disputed.v1': { 'orders.follow-payment': onPaymentsChanged(needs, 'disputed') },
      'payments.dispute-won.v1': { 'orders.follow-payment': onPaymentsChanged(needs, 'dispute-won') },
      'payments.dispute-lost.v1': { 'orders.follow-payment': onPaymentsChanged(needs, 'dispute-lost') },
      'payments.held-for-review.v1': { 'orders.follow-payment': onPaymentsChanged(needs, 'in-review') },
      'payments.review-ended.v1': { 'orders.follow-payment': onPaymentsChanged(needs, 'review-ended') },
    },
    tasks: {
      'orders.forget-old-carts': () => forgetOldCarts(db, clock()),
      'orders.send-mail': (job, { id }) =>
        perform.one({ actor: systemActor, requestId: `job:${id}` }, (single) =>
          use.sendOrderMail(single, job as OrderMailJob),
        ),
    },
    cron: [{ task: 'orders.forget-old-carts', match: '37 * * * *' }],
    measures: orderMeasures(db, clock),
    personalData: personal,
    readCheckout: () => readCheckout(db),
    switchCheckout: use.switchCheckout,
    refundsByLines: { lockOrder: store.lockOrder, countRefund: use.countRefund },
    inspectOrder: async (reader, numberOrId) => {
      const id = numberOrId.startsWith('ord_') ? (numberOrId as OrderId) : await views.orderByNumber(reader, numberOrId)
      const order = id && (await needs.showOrder(reader, id))
      return order && id && { order, timeline: await views.timelineOf(reader, id) }
    },
  }
}
