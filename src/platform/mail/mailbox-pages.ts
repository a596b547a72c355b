import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { html, PAGE_CSP, page } from '#platform/http/pages.ts'
import { closed } from '#platform/http/schemas.ts'
import { refuse } from '#platform/problems.ts'
import type { DevMailbox, KeptMail } from './dev-mailbox.ts'

const HTML = 'text/html; charset=utf-8'
const config = { permission: 'public' }

/** The other end of the socket, not what a header says: a proxy in between makes a visitor no local one. */
const isLocal = (peer = ''): boolean => peer === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(peer)

/**
 * The dev mailbox in a browser: `/dev/mailbox`, a page for each mail, and all of them as JSON for scripts and tests. Mails
 * hold links that open accounts: only this machine sees them, others find nothing.
 */
export const mailboxPages =
  (mailbox: DevMailbox): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.addHook('onRequest', async ({ socket }) => {
      if (!isLocal(socket.remoteAddress)) throw refuse('platform.not-found')
    })

    app.get('/dev/mailbox.json', { schema: { hide: true }, config }, () => mailbox.list())

    app.get('/dev/mailbox', { schema: { hide: true }, config }, async (_request, reply) =>
      reply
        .type(HTML)
        .header('content-security-policy', PAGE_CSP)
        .send(listPage(await mailbox.list())),
    )

    app.get(
      '/dev/mailbox/:id',
      { schema: { hide: true, params: closed({ id: Type.String({ maxLength: 40 }) }) }, config },
      async ({ params }, reply) => {
        const mail = await mailbox.find(params.id)
        if (!mail) throw refuse('platform.not-found')
        return reply.type(HTML).header('content-security-policy', PAGE_CSP).send(mailPage(mail))
      },
    )
  }

function listPage(mails: readonly KeptMail[]): string {
  const rows = mails.map(
    ({ id, at, to, subject }) =>
      `<li><a href="/dev/mailbox/${id}">${html(subject)}</a><br>${html(to)} · <time>${html(at)}</time></li>`,
  )
  const list = rows.length > 0 ? `<ul>${rows.join('')}</ul>` : '<p>No mail yet.</p>'
  return page(
    'Mailbox',
    `<h1>Mailbox</h1><p>What the shop would have sent, had it <code>SMTP_URL</code> or <code>SENDGRID_API_KEY</code>.</p>${list}`,
  )
}

/** The mail's own HTML runs in a frame that may do nothing but open its links in a new tab; it inherits this page's policy. */
const mailPage = ({ at, to, subject, text, html: body }: KeptMail): string =>
  page(
    subject,
    `<p><a href="/dev/mailbox">Mailbox</a></p><h1>${html(subject)}</h1><p>To ${html(to)} · <time>${html(at)}</time></p>
<pre style="white-space:pre-wrap">${withLinks(text)}</pre>
<iframe title="The mail as HTML" sandbox="allow-popups allow-popups-to-escape-sandbox" style="width:100%;height:32rem;border:1px solid #8888" srcdoc="${html(body.replace('<head>', '<head><base target="_blank">'))}"></iframe>`,
  )

const withLinks = (text: string): string =>
  html(text).replaceAll(/https?:\/\/(?:(?!&quot;|&lt;|&gt;)[^\s])+/g, (url) => `<a href="${url}">${url}</a>`)
