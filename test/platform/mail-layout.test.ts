import { describe, expect, test } from 'vitest'
import { layOut } from '#platform/mail/layout.ts'

const letter = layOut({
  greeting: 'Hello Ann <b>,',
  blocks: [
    { kind: 'text', text: 'Fish & "chips"\r\nBcc: x@example.com' },
    { kind: 'button', label: 'Verify <it>', url: 'https://shop.example/verify#token=a&b="c"' },
    { kind: 'code', code: '123 456' },
    { kind: 'list', items: ['one', '<script>two</script>'] },
  ],
  footer: 'Sent by the shop.',
})

describe('the layout of mails', () => {
  test('says the same as text', () => {
    expect(letter.text).toBe(`Hello Ann <b>,

Fish & "chips" Bcc: x@example.com

Verify <it>:
https://shop.example/verify#token=a&b=%22c%22

    123 456

- one
- <script>two</script>

-- 
Sent by the shop.
`)
  })

  test('escapes everything in HTML', () => {
    expect(letter.html).toContain('Hello Ann &lt;b&gt;,')
    expect(letter.html).toContain('Fish &amp; &quot;chips&quot; Bcc')
    expect(letter.html).toContain('href="https://shop.example/verify#token=a&amp;b=%22c%22"')
    expect(letter.html).toContain('<li>&lt;script&gt;two&lt;/script&gt;</li>')
  })

  test('fetches nothing, tracks nothing, runs nothing', () => {
    expect(letter.html).not.toMatch(
      /<(img|script|link|iframe|table|form|video|base)\b|url\(|@import|@font-face|\ssrc=/i,
    )
    expect(letter.html.match(/https?:\/\/[^"\s<]+/g)).toEqual(['https://shop.example/verify#token=a&amp;b=%22c%22'])
  })

  test('has a language, both colour schemes and a width that fits', () => {
    expect(letter.html).toMatch(/^<!doctype html>\n<html lang="en">/)
    expect(layOut({ blocks: [], footer: '', lang: 'de' }).html).toContain('<html lang="de">')
    expect(letter.html).toContain('prefers-color-scheme:dark')
    expect(letter.html).toContain('name="viewport"')
  })

  test.each(['javascript:alert(1)', 'data:text/html,x', '/relative'])('no button leads to %s', (url) => {
    expect(() => layOut({ blocks: [{ kind: 'button', label: 'x', url }], footer: '' })).toThrow()
  })

  test.each(['Hello win at https://evil.example,', 'Hello www.evil.example,', 'Hello evil.example,', 'Hello a@b,'])(
    'leaves out a greeting whose name is an advertisement: %s',
    (greeting) => {
      const { text, html } = layOut({ greeting, blocks: [], footer: 'x' })
      expect(text + html).not.toContain('Hello')
    },
  )

  test.each(['Hello Dr. Ann Lee,', 'Hello J.R. Smith,', 'Guten Tag Frau Müller-Straße,', 'Привет, Анна!'])(
    'keeps %s',
    (greeting) => {
      expect(layOut({ greeting, blocks: [], footer: 'x' }).text).toContain(greeting)
    },
  )
})
