import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Answer, created, idempotencyScopeOf, ok } from '#platform/http/answer.ts'
import { closed, idSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { Doing } from '../application/goods.ts'
import { CART_TOKEN_VERSION } from '../application/proofs.ts'
import type { OrdersUseCases } from '../application/use-cases.ts'
import type { PricedCart } from '../domain/cart.ts'
import { cartView } from './cart-views.ts'
import {
  AddItemBody,
  CartSchema,
  type CartView,
  ChangeCartBody,
  CreateCartBody,
  MergeCartsBody,
  SetItemBody,
} from './schemas.ts'

const CartParams = closed({ id: idSchema('cart') })
const ItemParams = closed({ id: idSchema('cart'), itemId: idSchema('item') })
const GOODS = [
  'carts.unknown-variant',
  'carts.too-many-items',
  'catalog.sku-ambiguous',
  'catalog.not-for-sale',
  'catalog.no-price',
  'catalog.out-of-stock',
] as const
const DETAILS = [
  'carts.country-not-served',
  'carts.unknown-shipping-method',
  'carts.two-addresses',
  'users.address-not-found',
] as const
/** Prices may have risen beyond what can be added up, since. */
const FOUND = ['carts.not-found', 'orders.amount-too-large'] as const
const OPEN = [...FOUND, 'carts.already-ordered', 'carts.already-merged'] as const

/** Carts: every answer is the whole cart, priced now. */
export const cartRoutes =
  (use: OrdersUseCases, { db, clock, answer, answerOne, guestTokens }: Platform): FastifyPluginAsyncTypebox =>
  async (app) => {
    const view = (priced: PricedCart) => cartView(priced, guestTokens.guestToken(priced.cart.id, CART_TOKEN_VERSION))

    /** One statement in autocommit; with an Idempotency-Key that has an effect, a transaction for its receipt. */
    const change = (
      request: FastifyRequest,
      reply: FastifyReply,
      run: (doing: Doing) => Promise<PricedCart>,
      answerWith: (cart: CartView) => Answer<CartView> = ok,
    ) =>
      request.headers['idempotency-key'] === undefined || idempotencyScopeOf(request) === undefined
        ? answerOne(request, reply, async (single) => answerWith(view(await run(single))))
        : answer(request, reply, async (work) => answerWith(view(await run({ ...work, db: work.tx }))))
    const asCreated = (cart: CartView) => created(cart, `/v1/carts/${cart.id}`)

    app.post(
      '/carts',
      {
        schema: {
          operationId: 'createCart',
          summary: 'Make a cart, empty or with all that is known already',
          tags: ['carts'],
          body: CreateCartBody,
          response: { 201: CartSchema },
        },
        config: {
          permission: 'carts:write',
          idempotency: 'optional',
          refuses: ['carts.unknown-currency', 'orders.amount-too-large', ...GOODS, ...DETAILS],
        },
      },
      (request, reply) => change(request, reply, (doing) => use.createCart(doing, request.body), asCreated),
    )

    app.get(
      '/carts/:id',
      {
        schema: {
          operationId: 'readCart',
          summary: 'A cart, priced now',
          tags: ['carts'],
          params: CartParams,
          response: { 200: CartSchema },
        },
        config: { permission: 'carts:write', refuses: FOUND },
      },
      async (request) => view(await use.readCart({ db, now: clock(), actor: request.actor }, request.params.id)),
    )

    app.patch(
      '/carts/:id',
      {
        schema: {
          operationId: 'changeCart',
          summary: 'Say who buys, where it goes and how; null clears',
          tags: ['carts'],
          params: CartParams,
          body: ChangeCartBody,
          response: { 200: CartSchema },
        },
        config: { permission: 'carts:write', idempotency: 'optional', refuses: [...OPEN, ...DETAILS] },
      },
      (request, reply) => change(request, reply, (doing) => use.changeDetails(doing, request.params.id, request.body)),
    )

    app.post(
      '/carts/:id/items',
      {
        schema: {
          operationId: 'addCartItem',
          summary: 'Add units of a variant; one that is in the cart already gets more',
          tags: ['carts'],
          params: CartParams,
          body: AddItemBody,
          response: { 201: CartSchema },
        },
        config: { permission: 'carts:write', idempotency: 'optional', refuses: [...OPEN, ...GOODS] },
      },
      (request, reply) =>
        change(request, reply, (doing) => use.addItem(doing, request.params.id, request.body), asCreated),
    )

    app.patch(
      '/carts/:id/items/:itemId',
      {
        schema: {
          operationId: 'setCartItem',
          summary: 'Set how many units an item has; 0 takes it out',
          tags: ['carts'],
          params: ItemParams,
          body: SetItemBody,
          response: { 200: CartSchema },
        },
        config: {
          permission: 'carts:write',
          idempotency: 'optional',
          refuses: [...OPEN, 'carts.item-not-found', ...GOODS],
        },
      },
      (request, reply) => {
        const { id, itemId } = request.params
        return change(request, reply, (doing) => use.setQuantity(doing, id, itemId, request.body.quantity))
      },
    )

    app.delete(
      '/carts/:id/items/:itemId',
      {
        schema: {
          operationId: 'removeCartItem',
          summary: 'Take an item out',
          tags: ['carts'],
          params: ItemParams,
          response: { 200: CartSchema },
        },
        config: { permission: 'carts:write', idempotency: 'optional', refuses: [...OPEN, 'carts.item-not-found'] },
      },
      (request, reply) =>
        change(request, reply, (doing) => use.setQuantity(doing, request.params.id, request.params.itemId, 0)),
    )

    app.post(
      '/carts/:id/merge',
      {
        schema: {
          operationId: 'mergeCarts',
          summary: 'Move the lines of another cart into this one; both must be yours',
          tags: ['carts'],
          params: CartParams,
          body: MergeCartsBody,
          response: { 200: CartSchema },
        },
        config: {
          permission: 'carts:write',
          idempotency: 'optional',
          refuses: [...OPEN, 'carts.cannot-merge', 'carts.too-many-items'],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) =>
          ok(view(await use.mergeCarts(work, request.params.id, request.body.fromCartId))),
        ),
    )
  }
