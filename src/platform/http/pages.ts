import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Problems } from '#kernel/refusal.ts'
import { refuse } from '#platform/problems.ts'
import { statusOf } from './problem.ts'
import { closed } from './schemas.ts'

export type PagesOptions = {
  readonly production: boolean
  readonly problems: Problems
  readonly publicUrl: string
  /** Whether mails stay at `/dev/mailbox`. */
  readonly mailbox: boolean
  /** How many products there are to buy, and one of them. */
  readonly firstProduct: () => Promise<{ count: number; handle: string; title: string } | undefined>
}

const DOCS_CSP = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'"
/** What a page made by `page` may do: show itself, in its own style. No script, no other address, no frame around it. */
export const PAGE_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

/** Adds what people read in a browser: `/` (not in production), `/docs`, `/openapi.json` and a page for each problem code. */
export async function addPages(app: FastifyInstance, options: PagesOptions): Promise<void> {
  app.get('/openapi.json', { schema: { hide: true }, config: { permission: 'public' } }, async () => app.swagger())
  await app.register(problemPages(options.problems))
  if (options.production) return
  const docs = docsReader()
  for (const url of ['/docs', '/docs/*'])
    app.get(url, { schema: { hide: true }, config: { permission: 'public' } }, async (request, reply) => {
      const page = await (await docs()).inject({ method: 'GET', url: request.url })
      const { 'content-type': type, location } = page.headers
      if (location) reply.header('location', location)
      return reply
        .code(page.statusCode)
        .header('content-type', type ?? 'text/plain')
        .header('content-security-policy', DOCS_CSP)
        .send(page.rawPayload)
    })
  app.get('/', { schema: { hide: true }, config: { permission: 'public' } }, async (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', PAGE_CSP)
      .send(homePage(options, await options.firstProduct())),
  )
}

/** The reader of the API's document weighs 50 MB of memory: it is loaded when somebody first opens it. */
function docsReader(): () => Promise<FastifyInstance> {
  let reader: Promise<FastifyInstance> | undefined
  const load = async () => {
    const { default: scalar } = await import('@scalar/fastify-api-reference')
    const app = Fastify()
    await app.register(scalar, { routePrefix: '/docs', configuration: { url: '/openapi.json' } })
    return app
  }
  return () => {
    reader ??= load()
    return reader
  }
}

const problemPages =
  (problems: Problems): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/problems/:code',
      {
        schema: { hide: true, params: closed({ code: Type.String({ maxLength: 80 }) }) },
        config: { permission: 'public' },
      },
      async ({ params: { code } }, reply) => {
        const problem = Object.hasOwn(problems, code) ? problems[code] : undefined
        if (!problem) throw refuse('platform.not-found')
        const body = `<h1>${html(problem.title)}</h1><p><code>${html(code)}</code> · status ${statusOf(code, problem)}</p><p>${html(problem.advice)}</p>`
        return reply
          .type('text/html; charset=utf-8')
          .header('content-security-policy', PAGE_CSP)
          .send(page(problem.title, body))
      },
    )
  }

/** Text as it is written in HTML, in an attribute with double quotes too. */
export const html = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

/** A whole page in the one look that our pages have; `title` is text, `body` is HTML. Send it with PAGE_CSP. */
export const page = (title: string, body: string): string => `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${html(title)}</title>
<style>body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c;background:#fdfdfb}
h1{font-size:1.7rem}code,pre{font-family:ui-monospace,monospace;background:#f1f0ea;border-radius:4px}code{padding:.1em .3em}
pre{padding:1rem;overflow-x:auto}a{color:#0b57a4}.ok{color:#1a7f37}@media(prefers-color-scheme:dark){body{color:#e8e6e3;background:#161616}
code,pre{background:#262626}a{color:#7ab7f5}.ok{color:#56d364}}</style>
${body}</html>`

function homePage(
  { publicUrl, mailbox }: PagesOptions,
  product: Awaited<ReturnType<PagesOptions['firstProduct']>>,
): string {
  const stock = product
    ? `<p class="ok">The shop is ready: ${product.count} products.</p>
<p>One of them: <a href="/v1/products/${encodeURIComponent(product.handle)}">${html(product.title)}</a>.
All: <a href="/v1/products">/v1/products</a>. The API: <a href="/docs">/docs</a>, <a href="/openapi.json">/openapi.json</a>.</p>`
    : `<p>The shop is empty. Import a catalogue: <code>npx stoa import catalogue/sample.csv</code>.</p>`
  const mails = mailbox ? `<p>Mails that it sends stay here: <a href="/dev/mailbox">/dev/mailbox</a>.</p>` : ''
  return page(
    'Stoa',
    `<h1>Stoa</h1>${stock}${mails}<p>Type next:</p>
<pre>make buy                                    # a purchase, request by request
curl '${html(publicUrl)}/v1/products?q=mug'
npx stoa import your-shopify-export.csv     # your own catalogue
npx stoa audit                              # are the books right?</pre>`,
  )
}
