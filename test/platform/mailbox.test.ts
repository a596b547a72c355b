import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeDevMailbox } from '#platform/mail/dev-mailbox.ts'
import { type Mail, makeMailer } from '#platform/mail/mail.ts'
import { type TestShop, testShop } from '../kit/shop.ts'

const mail = (key: string, more: Partial<Mail> = {}): Mail => ({
  key,
  to: 'ann@example.com',
  subject: `Mail ${key}`,
  text: 'Open http://localhost:3000/verify#token=a&b now',
  html: '<!doctype html><html lang="en"><head><title>x</title></head><body><script>alert("1")</script></body></html>',
  ...more,
})

let shop: TestShop
let folder: string
let mailer: ReturnType<typeof makeMailer>
beforeAll(async () => {
  shop = await testShop()
  folder = join(shop.app.config.dataDir, 'mailbox')
  mailer = makeMailer(
    makeDevMailbox(folder, () => shop.clock.now),
    () => {},
  )
})
afterAll(() => shop.close())

describe('the dev mailbox', () => {
  test('is empty before the first mail', async () => {
    expect((await shop.send('GET', '/dev/mailbox.json')).body).toEqual([])
    expect((await shop.send('GET', '/dev/mailbox')).text).toContain('No mail yet')
  })

  test('lists mails, the newest first, as JSON and as a page', async () => {
    await mailer.send([mail('a'), mail('b', { subject: '<b>bold</b>' })])
    const { body } = await shop.send('GET', '/dev/mailbox.json')
    expect(body).toMatchObject([{ key: 'b', at: shop.clock.now.toISOString() }, { key: 'a' }])
    const { text, headers } = await shop.send('GET', '/dev/mailbox')
    expect(text.indexOf('&lt;b&gt;bold')).toBeLessThan(text.indexOf('Mail a'))
    expect(text).toContain('ann@example.com')
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'/)
  })

  test('answers this machine only, whatever the request says of where it comes from', async () => {
    const statusFrom = async (remoteAddress: string, url = '/dev/mailbox') => {
      const headers = { 'x-forwarded-for': '127.0.0.1' }
      return (await shop.app.http.inject({ method: 'GET', url, remoteAddress, headers })).statusCode
    }
    const [{ id }] = (await shop.send('GET', '/dev/mailbox.json')).body
    for (const url of ['/dev/mailbox.json', '/dev/mailbox', `/dev/mailbox/${id}`]) {
      for (const here of ['127.0.0.1', '127.8.0.1', '::1', '::ffff:127.0.0.1'])
        expect(await statusFrom(here, url)).toBe(200)
      for (const elsewhere of ['192.0.2.7', '::ffff:192.0.2.7', '2001:db8::1'])
        expect(await statusFrom(elsewhere, url)).toBe(404)
    }
  })

  test('shows a mail with links to follow, its HTML in a frame that runs nothing', async () => {
    const [, { id }] = (await shop.send('GET', '/dev/mailbox.json')).body
    const { status, text, headers } = await shop.send('GET', `/dev/mailbox/${id}`)
    expect(status).toBe(200)
    expect(text).toContain('<a href="http://localhost:3000/verify#token=a&amp;b">')
    expect(text).not.toContain('<script')
    expect(text).toMatch(/<iframe [^>]*sandbox="allow-popups allow-popups-to-escape-sandbox"[^>]*srcdoc="&lt;!doctype/)
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'unsafe-inline'/)
  })

  test('has no other pages', async () => {
    for (const id of ['mail_none', '..%2f..%2fkeys', 'x'])
      expect((await shop.send('GET', `/dev/mailbox/${id}`)).status).toBe(404)
  })

  test('keeps one copy of a key, also when another process hands it over', async () => {
    await makeMailer(
      makeDevMailbox(folder, () => shop.clock.now),
      () => {},
    ).send([mail('a'), mail('c')])
    const { body } = await shop.send('GET', '/dev/mailbox.json')
    expect(body.map(({ key }: Mail) => key)).toEqual(['c', 'b', 'a'])
  })

  test('keeps the latest 200, and leaves alone what is not its own', async () => {
    writeFileSync(join(folder, 'notes.txt'), '')
    await mailer.send(Array.from({ length: 210 }, (_, index) => mail(`many ${index}`)))
    const { body } = await shop.send('GET', '/dev/mailbox.json')
    expect(body).toHaveLength(200)
    expect(body[0].key).toBe('many 209')
    expect(readdirSync(folder)).toHaveLength(201)
  })

  test('is named on the home page and kept out of the API’s document', async () => {
    expect((await shop.send('GET', '/')).text).toContain('/dev/mailbox')
    expect((await shop.send('GET', '/openapi.json')).text).not.toContain('mailbox')
  })
})

test('there is no dev mailbox where mail is sent', async () => {
  const other = await testShop({ SMTP_URL: 'smtp://127.0.0.1:1' })
  for (const path of ['/dev/mailbox', '/dev/mailbox.json', '/dev/mailbox/mail_x'])
    expect((await other.send('GET', path)).status).toBe(404)
  expect((await other.send('GET', '/')).text).not.toContain('mailbox')
  await other.close()
})
