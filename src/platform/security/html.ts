import sanitise from 'sanitize-html'

const BLOCKS = [
  'address',
  'blockquote',
  'caption',
  'center',
  'dd',
  'div',
  'dl',
  'dt',
  'figcaption',
  'figure',
  'h1',
].concat(['h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p', 'pre', 'table', 'tbody', 'tfoot', 'thead', 'tr', 'ul'])
const INLINE = [
  'a',
  'abbr',
  'b',
  'br',
  'cite',
  'code',
  'col',
  'colgroup',
  'del',
  'em',
  'i',
  'img',
  'ins',
  'kbd',
  'mark',
].concat(['q', 's', 'samp', 'small', 'span', 'strong', 'sub', 'sup', 'td', 'th', 'u', 'wbr'])

const ALLOWED: sanitise.IOptions = {
  allowedTags: [...BLOCKS, ...INLINE],
  allowedAttributes: {
    '*': ['title', 'lang', 'dir'],
    a: ['href', 'target', 'rel'],
    img: ['src', 'alt', 'width', 'height'],
    td: ['colspan', 'rowspan'],
    th: ['colspan', 'rowspan', 'scope'],
  },
  allowedSchemes: ['http', 'https', 'mailto', 'tel'],
  allowedSchemesByTag: { img: ['http', 'https'] },
  nonTextTags: ['script', 'style', 'textarea', 'option', 'xmp', 'noscript', 'iframe', 'object', 'template', 'title'],
  transformTags: {
    a: (tagName, attribs) =>
      attribs.target ? { tagName, attribs: { ...attribs, rel: 'noopener noreferrer' } } : { tagName, attribs },
  },
  nestingLimit: 100,
}

/** What sanitising took out, counted: elements as `<iframe>`, attributes as `style=`. */
export type DroppedHtml = Readonly<Record<string, number>>

/**
 * HTML that is safe to put into a page: an allowlist of elements and attributes, links only to http, https, mailto and
 * tel, no scripts, styles or frames. `dropped` tells what was taken out, sorted by name.
 */
export function sanitiseHtml(given: string): { html: string; dropped: DroppedHtml } {
  const before = new Map<string, number>()
  const after = new Map<string, number>()
  const html = sanitise(given, { ...ALLOWED, onOpenTag: countInto(before) })
  sanitise(html, { ...ALLOWED, onOpenTag: countInto(after) })
  const dropped = [...before]
    .map(([name, count]) => [name, count - (after.get(name) ?? 0)] as const)
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return { html, dropped: Object.fromEntries(dropped) }
}

const countInto = (counts: Map<string, number>) => (element: string, attributes: Record<string, string>) => {
  for (const name of [`<${element}>`, ...Object.keys(attributes).map((attribute) => `${attribute}=`)])
    counts.set(name, (counts.get(name) ?? 0) + 1)
}

const BREAK = new RegExp(`<br />|</?(?:${BLOCKS.join('|')})(?: [^>]*)?>`, 'g')
const ENTITIES: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"' }

/** The words of HTML as plain text: blocks become lines, everything that sanitising drops is left out. */
export function htmlToText(given: string): string {
  // What the sanitiser writes is well-formed: every < and > outside a tag is escaped, and only four entities occur.
  return sanitise(given, ALLOWED)
    .replace(/\s+/g, ' ')
    .replace(BREAK, '\n')
    .replace(/<\/t[dh]>/g, ' ')
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:amp|lt|gt|quot);/g, (entity) => ENTITIES[entity] ?? entity)
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ ?\n[ \n]*/g, '\n')
    .trim()
}
