import { html as escaped } from '#platform/http/pages.ts'

/** One paragraph of a mail. All of it is plain text; line breaks in it become spaces. */
export type Block =
  | { readonly kind: 'text'; readonly text: string }
  /** The one thing to do; `url` is http or https. */
  | { readonly kind: 'button'; readonly label: string; readonly url: string }
  /** Something to copy or to type elsewhere. */
  | { readonly kind: 'code'; readonly code: string }
  | { readonly kind: 'list'; readonly items: readonly string[] }

export type Letter = {
  /** Such as `Hello Ann,`. One that reads like a link is left out: names are typed by strangers. */
  readonly greeting?: string
  readonly blocks: readonly Block[]
  /** Who sends this, and why. */
  readonly footer: string
  /** The language of the text, as in HTML's `lang`: `en` unless given. */
  readonly lang?: string
}

/**
 * Lays one letter out as plain text and as HTML: everything escaped, styles inline, light and dark, and nothing that is
 * fetched from elsewhere or tells that it was opened. Throws on a button that leads anywhere but to http or https.
 */
export function layOut({ greeting, blocks, footer, lang = 'en' }: Letter): { text: string; html: string } {
  const hello = greeting === undefined || READS_LIKE_A_LINK.test(greeting) ? [] : [textBlock(greeting)]
  const all = [...hello, ...blocks]
  return {
    text: `${all.map(asText).join('\n\n')}\n\n-- \n${oneLine(footer)}\n`,
    html: `<!doctype html>
<html lang="${escaped(lang)}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title></title><style>${DARK}</style></head>
<body style="margin:0;padding:24px 16px;background:#f6f5f1;color:#1c1c1c;font:16px/1.6 system-ui,-apple-system,sans-serif">
<div class="card" style="max-width:36em;margin:0 auto;padding:24px;background:#ffffff;border-radius:8px;overflow-wrap:anywhere">
${all.map(asHtml).join('\n')}
</div>
<p class="quiet" style="max-width:36em;margin:16px auto 0;padding:0 24px;color:#5f5e5a;font-size:13px">${escaped(oneLine(footer))}</p>
</body></html>
`,
  }
}

const READS_LIKE_A_LINK = /:\/\/|\bwww\.|@|\p{L}\.\p{L}{2}/u

const DARK = `:root{color-scheme:light dark}@media(prefers-color-scheme:dark){body{background:#161616!important;color:#e8e6e3!important}
.card{background:#222222!important}.quiet{color:#a5a39e!important}.code{background:#333333!important}
.button{background:#7ab7f5!important;color:#10202f!important}}`

const textBlock = (text: string): Block => ({ kind: 'text', text })

const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()

function asText(block: Block): string {
  switch (block.kind) {
    case 'text':
      return oneLine(block.text)
    case 'button':
      return `${oneLine(block.label)}:\n${linkOf(block.url)}`
    case 'code':
      return `    ${oneLine(block.code)}`
    case 'list':
      return block.items.map((item) => `- ${oneLine(item)}`).join('\n')
  }
}

function asHtml(block: Block): string {
  switch (block.kind) {
    case 'text':
      return `<p style="margin:0 0 16px">${escaped(oneLine(block.text))}</p>`
    case 'button':
      return `<p style="margin:24px 0"><a class="button" href="${escaped(linkOf(block.url))}" style="display:inline-block;padding:10px 20px;border-radius:6px;background:#0b57a4;color:#ffffff;font-weight:600;text-decoration:none">${escaped(oneLine(block.label))}</a></p>`
    case 'code':
      return `<p style="margin:0 0 16px"><code class="code" style="display:inline-block;padding:8px 14px;border-radius:6px;background:#f1f0ea;font:18px/1.4 ui-monospace,monospace">${escaped(oneLine(block.code))}</code></p>`
    case 'list':
      return `<ul style="margin:0 0 16px;padding-left:24px">${block.items.map((item) => `<li>${escaped(oneLine(item))}</li>`).join('')}</ul>`
  }
}

/** The address as the URL parser writes it: no blanks, no line breaks, nothing that ends an attribute. */
function linkOf(url: string): string {
  const { protocol, href } = new URL(url)
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new Error(`A mail links to http and https only, not ${protocol}`)
  return href
}
