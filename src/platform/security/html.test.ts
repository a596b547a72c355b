import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { htmlToText, sanitiseHtml } from './html.ts'

describe('sanitiseHtml', () => {
  test.each([
    ['<p>Warm <b>and</b> dry</p>', '<p>Warm <b>and</b> dry</p>', {}],
    ['<p style="color:red" class="x">a</p>', '<p>a</p>', { 'class=': 1, 'style=': 1 }],
    ['a<script>alert(1)</script>b', 'ab', { '<script>': 1 }],
    ['<iframe src="//x.example"></iframe>', '', { '<iframe>': 1, 'src=': 1 }],
    ['<a href="javascript:alert(1)">x</a>', '<a>x</a>', { 'href=': 1 }],
    ['<a href=" java\nscript:alert(1)">x</a>', '<a>x</a>', { 'href=': 1 }],
    [
      '<img src="https://a.example/i.png" onerror="alert(1)">',
      '<img src="https://a.example/i.png" />',
      { 'onerror=': 1 },
    ],
    ['<img src="data:image/svg+xml,x">', '<img />', { 'src=': 1 }],
    [
      '<svg><style><img src=x onerror=alert(1)></style></svg>',
      '',
      { '<img>': 1, '<style>': 1, '<svg>': 1, 'onerror=': 1, 'src=': 1 },
    ],
    ['<meta charset="utf-8"><p>a', '<p>a</p>', { '<meta>': 1, 'charset=': 1 }],
    ['1 < 2 & 3', '1 &lt; 2 &amp; 3', {}],
    ['', '', {}],
  ])('%s', (given, html, dropped) => {
    expect(sanitiseHtml(given)).toEqual({ html, dropped })
  })

  test('a link that opens a window cannot reach back', () => {
    expect(sanitiseHtml('<a href="https://a.example" target="_blank">x</a>').html).toContain(
      'rel="noopener noreferrer"',
    )
  })

  test('lets nothing active through, and finds nothing to drop the second time, whatever it is given', () => {
    const piece = fc.constantFrom(
      ...[
        '<script>',
        '</script>',
        '<img src=x onerror=a>',
        '<a href=javascript:a>',
        '<svg onload=a>',
        '<iframe',
        '"',
        "'",
      ],
      ...[
        '<',
        '>',
        '<!--',
        '-->',
        '<noscript>',
        '</noscript>',
        '<style>',
        '</style>',
        'words',
        '&lt;script&gt;',
        '<p title="',
      ],
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { html } = sanitiseHtml(pieces.join(''))
        const tags = html.match(/<[^>]*>/g) ?? []
        expect(
          tags.filter((tag) =>
            /^<(script|iframe|svg|style|noscript)|\son\w+=|javascript:/i.test(tag.replace(/"[^"]*"/g, '""')),
          ),
        ).toEqual([])
        expect(sanitiseHtml(html).dropped).toEqual({})
      }),
    )
  })
})

test.each([
  ['<p>One</p><p>Two</p>', 'One\nTwo'],
  ['<ul>\n <li>a</li>\n <li>b &amp; c</li>\n</ul>', 'a\nb & c'],
  ['a<br>b', 'a\nb'],
  ['<table><tr><td>1</td><td>2</td></tr></table>', '1 2'],
  ['<p>1 &lt; 2&nbsp;&euro;</p><script>x</script>', '1 < 2 €'],
  ['&amp;lt;', '&lt;'],
  ['', ''],
])('htmlToText(%j)', (given, text) => {
  expect(htmlToText(given)).toBe(text)
})
