import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Courier, type Mail, MailsFailed, makeMailer, readSender } from '#platform/mail/mail.ts'
import { openMail } from '#platform/mail/open-mail.ts'
import { makeSendgridCourier } from '#platform/mail/sendgrid-client.ts'
import { makeSmtpCourier } from '#platform/mail/smtp.ts'
import { unwatched } from '#platform/resilience/call-watch.ts'
import { openSendgrid, type Sendgrid } from '../kit/sendgrid.ts'
import { openSmtp, type Smtp } from '../kit/smtp.ts'

const from = readSender('Shop <shop@stoa.example>')
const aMail = (name: string, more: Partial<Mail> = {}): Mail => ({
  key: `key of ${name}`,
  to: `${name}@example.com`,
  subject: `For ${name}`,
  text: 'Text',
  html: '<p>HTML</p>',
  ...more,
})
const many = (count: number, more: Partial<Mail> = {}) =>
  Array.from({ length: count }, (_, index) => aMail(`name${index}`, more))
const send = (courier: Courier, mails: readonly Mail[]) => makeMailer(courier, () => {}).send(mails)
const failuresOf = async (sending: Promise<void>) => {
  const error = await sending.catch((thrown) => thrown)
  expect(error).toBeInstanceOf(MailsFailed)
  expect(error.message).not.toMatch(/@|\n/)
  return (error as MailsFailed).failures
}

describe('SendGrid', () => {
  let server: Sendgrid
  let courier: Courier
  const courierWith = (more: object = {}) =>
    makeSendgridCourier({ apiKey: 'SG.key', from, timeoutMs: 500, origin: server.origin, ...more })
  beforeEach(async () => {
    server = await openSendgrid({ apiKey: 'SG.key', sender: from.address, limitBytes: 500_000 })
    courier = courierWith()
  })
  afterEach(async () => {
    await courier.close()
    await server.close()
  })

  test('a 500 and a 503, then success: delivered once, in one go', async () => {
    server.mishaps.push(500, 503)
    await send(courier, [aMail('ann')])
    expect(server.delivered).toHaveLength(1)
    expect(server.requests).toHaveLength(3)
  })

  test('a 429 is honoured: nothing more is sent until X-RateLimit-Reset', async () => {
    server.mishaps.push({ status: 429, resetInSeconds: 2 })
    const before = performance.now()
    await send(courier, [aMail('ann')])
    expect(performance.now() - before).toBeGreaterThan(1_000)
    expect(server.requests).toEqual([0, 1])
    expect(server.delivered).toHaveLength(1)
  })

  test('a 429 for longer than a batch may wait fails at once, also for the next batch, and says how long', async () => {
    server.mishaps.push({ status: 429, resetInSeconds: 90 })
    for (const name of ['ann', 'bob']) {
      const [failure] = await failuresOf(send(courier, [aMail(name)]))
      expect(failure).toMatchObject({ permanent: false, reason: expect.stringMatching(/no mail for (8[5-9]|9\d) s/) })
    }
    expect(server.requests).toEqual([0])
  })

  test('an answer that is lost is not followed by a second copy, and the next attempt has the same Message-ID', async () => {
    server.mishaps.push('lost')
    const mailer = makeMailer(courier, () => {})
    const [failure] = await failuresOf(mailer.send([aMail('ann')]))
    expect(failure).toMatchObject({ reason: 'SendGrid gave no answer', permanent: false })
    expect(server.requests).toHaveLength(1)
    await mailer.send([aMail('ann')])
    const ids = server.delivered.map(({ headers }) => headers['Message-ID'])
    expect(ids).toEqual([expect.stringMatching(/^<[0-9a-f]{32}@stoa\.example>$/), ids[0]])
  })

  test('mails of the same contents go in one request, a thousand at most', async () => {
    await send(courier, many(1_050, { subject: 'Same' }))
    expect(server.requests.sort()).toEqual([1_000, 50])
  })

  test('an error names some keys, and how many more', async () => {
    server.mishaps.push(500, 500, 500)
    const error = await send(courier, many(30, { subject: 'Same' })).catch((thrown) => thrown)
    expect(error.message).toMatch(/^SendGrid answered 500, 3 times \(key of name0, .*, key of name4, 25 more\)$/)
    expect(error.failures).toHaveLength(30)
  })

  test('one address that it does not take spoils nobody else’s mail', async () => {
    const bad = aMail('bad', { to: 'bad@localhost', subject: 'Same' })
    const failures = await failuresOf(send(courier, [...many(5, { subject: 'Same' }), bad]))
    expect(failures).toEqual([{ key: bad.key, permanent: true, reason: expect.stringContaining('valid address') }])
    expect(server.delivered).toHaveLength(5)
  })

  test('a sender that is not verified is a matter of MAIL_FROM, not of the mail', async () => {
    const other = courierWith({ from: readSender('other@stoa.example') })
    const failures = await failuresOf(send(other, many(2)))
    expect(failures.map(({ permanent }) => permanent)).toEqual([false, false])
    expect(failures[0]!.reason).toContain('MAIL_FROM')
    await other.close()
  })

  test('a mail too long is refused for good', async () => {
    const failures = await failuresOf(send(courier, [aMail('ann', { text: 'x'.repeat(600_000) }), aMail('bob')]))
    expect(failures).toMatchObject([{ key: 'key of ann', permanent: true, reason: expect.stringContaining('413') }])
    expect(server.delivered).toHaveLength(1)
  })

  test('a wrong key is not tried with every mail', async () => {
    const stranger = courierWith({ apiKey: 'SG.other' })
    await failuresOf(send(stranger, many(100)))
    expect(server.requests.length).toBeLessThanOrEqual(8)
    await stranger.close()
  })
})

describe('SMTP', () => {
  const login = { user: 'shop', pass: 'secret' }
  let server: Smtp
  let courier: Courier
  const start = async (options?: Parameters<typeof openSmtp>[1], urlOf = (url: string) => url) => {
    server = await openSmtp(login, options)
    courier = makeSmtpCourier({ url: urlOf(server.url), from, timeoutMs: 500 })
  }
  afterEach(async () => {
    await courier.close()
    await server.close()
  })

  test('batches go over one connection', async () => {
    await start()
    await Promise.all([send(courier, many(20)), send(courier, many(20))])
    await send(courier, many(20))
    expect(server.received).toHaveLength(60)
    expect(server.connections()).toBe(1)
  })

  test('an address that is not there is refused for good, and the others get theirs', async () => {
    await start()
    server.refused.set('name1@example.com', 550)
    const failures = await failuresOf(send(courier, many(3)))
    expect(failures).toMatchObject([{ key: 'key of name1', permanent: true, reason: expect.stringContaining('550') }])
    expect(server.received).toHaveLength(2)
  })

  test('a connection that the server closed meanwhile is replaced', async () => {
    await start({ disabledCommands: ['STARTTLS'], socketTimeout: 400 })
    await send(courier, [aMail('ann')])
    await pause(700)
    await send(courier, [aMail('bob')])
    expect(server.received).toHaveLength(2)
    expect(server.connections()).toBe(2)
  })

  test('a server that falls silent in the middle ends in an error within the time-out', async () => {
    await start()
    const mute = createServer((socket) => void socket.on('error', () => {}).write('220 hello\r\n'))
    await new Promise<void>((listening) => mute.listen(0, '127.0.0.1', listening))
    const { port } = mute.address() as { port: number }
    const other = makeSmtpCourier({ url: `smtp://127.0.0.1:${port}`, from, timeoutMs: 500 })
    const before = performance.now()
    expect(await failuresOf(send(other, many(10)))).toHaveLength(10)
    expect(performance.now() - before).toBeLessThan(1_500)
    await other.close()
    mute.close()
  })

  test('smtps:// trusts no unknown certificate', async () => {
    await start({ secure: true })
    const failures = await failuresOf(send(courier, many(2)))
    expect(failures).toHaveLength(2)
    expect(failures[0]!.reason).toContain('certificate')
    expect(server.logins()).toBe(0)
  })

  test.each([
    ['offers no STARTTLS', { disabledCommands: ['STARTTLS'] as string[] }],
    ['offers it with an unknown certificate', {}],
  ])('a server off this machine that %s gets neither password nor mail', async (_what, options) => {
    await start(options, (url) => url.replace('127.0.0.1', '0.0.0.0'))
    const [failure] = await failuresOf(send(courier, [aMail('ann')]))
    expect(failure).toMatchObject({ permanent: false, reason: expect.stringMatching(/TLS|certificate/) })
    expect(server.logins()).toBe(0)
  })
})

describe('what a process sends by', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'stoa-mail-'))
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }))
  const common = {
    dataDir,
    clock: () => new Date(),
    mailFrom: 'shop@stoa.example',
    smtpUrl: undefined,
    watchCalls: () => unwatched,
  }

  test('is counted', async () => {
    const { mailer, measures } = await openMail({ ...common, sendgridApiKey: undefined })
    await mailer.send([aMail('ann'), aMail('bob')])
    await failuresOf(mailer.send([aMail('ann'), aMail('eve', { subject: 'a\nb' })]))
    expect(measures.map(({ name }) => name)).toEqual(['stoa_mails_total'])
    expect(await measures[0]!.read()).toEqual([
      { labels: { result: 'sent' }, value: 2 },
      { labels: { result: 'failed' }, value: 1 },
    ])
    await mailer.close()
  })

  test.each([{ smtpUrl: 'smtp://127.0.0.1:1' }, { sendgridApiKey: 'SG.key' }])(
    'is a vendor where there is one: %o',
    async (one) => {
      const { mailer, mailbox } = await openMail({ ...common, sendgridApiKey: undefined, ...one })
      expect(mailbox).toBeUndefined()
      await mailer.close()
    },
  )
})
