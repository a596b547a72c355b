import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { FastifyPluginAsync } from 'fastify'
import { page } from '#platform/http/pages.ts'

/** What the forms run in the browser. */
const SCRIPT = readFileSync(new URL('./account-page.js', import.meta.url), 'utf8')
const SCRIPT_HASH = createHash('sha256').update(SCRIPT).digest('base64')
const CSP = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${SCRIPT_HASH}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

type Form = { readonly title: string; readonly fields: string; readonly attributes: string; readonly button: string }

const PAGES: Readonly<Record<string, Form>> = {
  '/verify-email': {
    title: 'Confirm your e-mail address',
    fields: `<p><label>Password of your account <input name="password" type="password" autocomplete="current-password" required></label></p>
<p>If you did not choose one, <a href="/reset-password">set a new password</a> instead.</p>`,
    attributes: 'data-path="/v1/auth/verify-email" data-done="Thank you: the address is confirmed."',
    button: 'Confirm',
  },
  '/change-email': {
    title: 'Use this e-mail address',
    fields: '',
    attributes: 'data-path="/v1/auth/change-email" data-done="Done: log in with this address from now on."',
    button: 'Use this address',
  },
  '/reset-password': {
    title: 'Set a new password',
    fields: `<p data-with-token><label>New password <input name="password" type="password" autocomplete="new-password" required></label></p>
<p data-without-token><label>E-mail address <input name="email" type="email" autocomplete="email" required></label></p>`,
    attributes:
      'data-path="/v1/auth/reset-password" data-without="/v1/auth/forgot-password" data-done="Done. Log in with your new password, or look into your mail for the link."',
    button: 'Go on',
  },
}

const formPage = ({ title, fields, attributes, button }: Form): string =>
  page(
    title,
    `<h1>${title}</h1><form ${attributes}>${fields}<p><button>${button}</button></p></form><p><output></output></p><script>${SCRIPT}</script>`,
  )

/** Where the links of mails lead to while a shop has no front of its own: three forms that call the API. */
export const accountPages: FastifyPluginAsync = async (app) => {
  for (const [url, form] of Object.entries(PAGES)) {
    const html = formPage(form)
    app.get(url, { schema: { hide: true }, config: { permission: 'public' } }, async (_request, reply) =>
      reply.type('text/html; charset=utf-8').header('content-security-policy', CSP).send(html),
    )
  }
}
