import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import type { ProductId } from '#kernel/ids.ts'
import type { Currency } from '#kernel/money.ts'
import type { Work } from '#platform/db/work.ts'
import { created, noContent, ok } from '#platform/http/answer.ts'
import { etagOf, versionOf } from '#platform/http/etag.ts'
import { closed, idSchema } from '#platform/http/schemas.ts'
import type { Platform } from '#platform/platform.ts'
import type { CatalogUseCases } from '../application/use-cases.ts'
import { newProductOf, newVariantOf, productChangesOf, variantChangesOf } from './product-input.ts'
import { readProductViews } from './product-views.ts'
import {
  NewImageBody,
  NewProductBody,
  NewVariantBody,
  ProductChangesBody,
  ProductSchema,
  VariantChangesBody,
} from './schemas.ts'

const params = closed({ id: idSchema('prod') })
const IF_MATCH = 'Send the ETag that you read as If-Match.'
const OF_VERSION = ['catalog.product-not-found', 'platform.precondition-required', 'platform.stale']
const OF_VARIANT = ['catalog.variant-exists', 'catalog.options-mismatch', 'catalog.invalid-price']

/** What staff do to products, their variants and images. `changed` is told after each commit. */
export const productRoutes =
  (
    { answer }: Pick<Platform, 'answer'>,
    use: CatalogUseCases,
    currency: Currency,
    changed: () => void,
  ): FastifyPluginAsyncTypebox =>
  async (app) => {
    const view = async (work: Work, id: ProductId) => {
      const [product] = await readProductViews(work.tx, [id], currency, true)
      return { body: product!.view, etag: etagOf(product!.version) }
    }
    const viewed = async (work: Work, id: ProductId) => {
      const { body, etag } = await view(work, id)
      return ok(body, etag)
    }

    app.post(
      '/products',
      {
        schema: {
          operationId: 'createProduct',
          summary: 'Create a product with its variants',
          tags: ['catalogue'],
          body: NewProductBody,
          response: { 201: ProductSchema },
        },
        config: {
          permission: 'catalogue:write',
          idempotency: 'optional',
          refuses: ['catalog.handle-taken', 'catalog.invalid-handle', 'catalog.image-exists', ...OF_VARIANT],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const id = await use.createProduct(work, newProductOf(request.body))
          const { body, etag } = await view(work, id)
          return { ...created(body, `/v1/products/${id}`), etag }
        }).finally(changed),
    )

    app.patch(
      '/products/:id',
      {
        schema: {
          operationId: 'changeProduct',
          summary: 'Change a product',
          description: IF_MATCH,
          tags: ['catalogue'],
          params,
          body: ProductChangesBody,
          response: { 200: ProductSchema },
        },
        config: {
          permission: 'catalogue:write',
          idempotency: 'optional',
          refuses: ['catalog.handle-taken', ...OF_VERSION],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id } = request.params
          await use.changeProduct(work, id, versionOf(request), productChangesOf(request.body))
          return viewed(work, id)
        }).finally(changed),
    )

    app.delete(
      '/products/:id',
      {
        schema: {
          operationId: 'archiveProduct',
          summary: 'Archive a product; its handle stays taken',
          description: IF_MATCH,
          tags: ['catalogue'],
          params,
          response: { 204: Type.Null() },
        },
        config: { permission: 'catalogue:write', idempotency: 'optional', refuses: OF_VERSION },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          await use.archiveProduct(work, request.params.id, versionOf(request))
          return noContent()
        }).finally(changed),
    )

    app.post(
      '/products/:id/variants',
      {
        schema: {
          operationId: 'addVariant',
          summary: 'Add a variant to a product',
          description: IF_MATCH,
          tags: ['catalogue'],
          params,
          body: NewVariantBody,
          response: { 201: ProductSchema },
        },
        config: { permission: 'catalogue:write', idempotency: 'optional', refuses: [...OF_VERSION, ...OF_VARIANT] },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id } = request.params
          await use.addVariant(work, id, versionOf(request), newVariantOf(request.body))
          const { body, etag } = await view(work, id)
          return { ...created(body, `/v1/products/${id}`), etag }
        }).finally(changed),
    )

    const variantParams = closed({ id: idSchema('prod'), variantId: idSchema('var') })
    app.patch(
      '/products/:id/variants/:variantId',
      {
        schema: {
          operationId: 'changeVariant',
          summary: 'Change a variant',
          description: `Prices given replace all prices. ${IF_MATCH}`,
          tags: ['catalogue'],
          params: variantParams,
          body: VariantChangesBody,
          response: { 200: ProductSchema },
        },
        config: {
          permission: 'catalogue:write',
          idempotency: 'optional',
          refuses: ['catalog.variant-not-found', 'catalog.image-not-found', ...OF_VERSION, ...OF_VARIANT],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id, variantId } = request.params
          await use.changeVariant(work, id, versionOf(request), variantId, variantChangesOf(request.body))
          return viewed(work, id)
        }).finally(changed),
    )

    app.delete(
      '/products/:id/variants/:variantId',
      {
        schema: {
          operationId: 'archiveVariant',
          summary: 'Archive a variant; its option values stay taken',
          description: IF_MATCH,
          tags: ['catalogue'],
          params: variantParams,
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'catalogue:write',
          idempotency: 'optional',
          refuses: ['catalog.variant-not-found', ...OF_VERSION],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id, variantId } = request.params
          await use.changeVariant(work, id, versionOf(request), variantId, { status: 'archived' })
          return noContent()
        }).finally(changed),
    )

    app.post(
      '/products/:id/images',
      {
        schema: {
          operationId: 'addImage',
          summary: 'Add an image to a product; it is not fetched',
          description: IF_MATCH,
          tags: ['catalogue'],
          params,
          body: NewImageBody,
          response: { 201: ProductSchema },
        },
        config: {
          permission: 'catalogue:write',
          idempotency: 'optional',
          refuses: ['catalog.image-exists', ...OF_VERSION],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id } = request.params
          await use.addImage(work, id, versionOf(request), { url: request.body.url, alt: request.body.alt ?? '' })
          const { body, etag } = await view(work, id)
          return { ...created(body, `/v1/products/${id}`), etag }
        }).finally(changed),
    )

    app.delete(
      '/products/:id/images/:imageId',
      {
        schema: {
          operationId: 'removeImage',
          summary: 'Remove an image from a product and its variants',
          description: IF_MATCH,
          tags: ['catalogue'],
          params: closed({ id: idSchema('prod'), imageId: idSchema('img') }),
          response: { 204: Type.Null() },
        },
        config: {
          permission: 'catalogue:write',
          idempotency: 'optional',
          refuses: ['catalog.image-not-found', ...OF_VERSION],
        },
      },
      (request, reply) =>
        answer(request, reply, async (work) => {
          const { id, imageId } = request.params
          await use.removeImage(work, id, versionOf(request), imageId)
          return noContent()
        }).finally(changed),
    )
  }
