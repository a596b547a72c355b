import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeDevMailbox } from '#platform/mail/dev-mailbox.ts'
import { layOut } from '#platform/mail/layout.ts'
import { type Courier, type Mail, MailsFailed, makeMailer, messageIdOf } from '#platform/mail/mail.ts'
import { makeSendgridCourier } from '#platform/mail/sendgrid-client.ts'
import { makeSmtpCourier } from '#platform/mail/smtp.ts'
import { openSendgrid } from '../kit/sendgrid.ts'
import { openSmtp } from '../kit/smtp.ts'

type Delivered = { to: string; from: string; subject: string; text: string; html: string; messageId: string }

/** What a way to send mail has to offer to be held to the contract: itself, and what its other side has taken. */
type Candidate = {
  readonly courier: () => Courier
  delivered(): Promise<Delivered[]> | Delivered[]
  reset(): void
  close(): Promise<void>
  /** Only what goes over a network can break. */
  readonly network?: {
    /** The same to a server that is not there, or that takes a connection and says nothing. */
    at(port: number): Courier
    readonly stranger: Courier
    readonly variable: string
    /** Makes mails to this address fail for now, until told otherwise. */
    refuse(to: string, now: boolean): void
  }
}

const TIMEOUT_MS = 500
const FROM = { name: 'Bücher & Co', address: 'shop@stoa.example' }
const SENT_FROM = 'Bücher & Co <shop@stoa.example>'

async function devMailbox(): Promise<Candidate> {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-mail-'))
  const mailbox = makeDevMailbox(folder, () => new Date())
  return {
    courier: () => mailbox,
    delivered: async () =>
      (await mailbox.list()).map((mail) => ({ ...mail, from: SENT_FROM, messageId: messageIdOf(mail.key, FROM) })),
    reset: () => rmSync(folder, { recursive: true }),
    close: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

const PASS = 'p@ss/w:ord?'
async function smtp(): Promise<Candidate> {
  const server = await openSmtp({ user: 'shop', pass: PASS })
  const to = (url: string) => makeSmtpCourier({ url, from: FROM, timeoutMs: TIMEOUT_MS })
  const courier = to(server.url)
  return {
    courier: () => courier,
    delivered: () =>
      server.received.map(({ sender, recipients, headers, text, html }) => {
        expect(sender).toBe(FROM.address)
        expect(recipients).toEqual([headers.to])
        expect(headers['auto-submitted']).toBe('auto-generated')
        expect(Object.keys(headers).filter((name) => name.startsWith('x-') || name === 'bcc')).toEqual([])
        const from = headers.from!.replaceAll('"', '')
        return { to: headers.to!, from, subject: headers.subject!, text, html, messageId: headers['message-id']! }
      }),
    reset: () => server.received.splice(0),
    close: async () => {
      await courier.close()
      await server.close()
    },
    network: {
      at: (port) => to(`smtp://127.0.0.1:${port}`),
      stranger: to(server.url.replace('shop:', 'shop:not-')),
      variable: 'SMTP_URL',
      refuse: (to, now) => void (now ? server.refused.set(to, 451) : server.refused.delete(to)),
    },
  }
}

async function sendgrid(): Promise<Candidate> {
  const server = await openSendgrid({ apiKey: 'SG.right', sender: FROM.address })
  const to = (origin: string, apiKey = 'SG.right') =>
    makeSendgridCourier({ apiKey, from: FROM, timeoutMs: TIMEOUT_MS, origin })
  const courier = to(server.origin)
  return {
    courier: () => courier,
    delivered: () =>
      server.delivered.map(({ from, headers, ...mail }) => {
        expect(headers['Auto-Submitted']).toBe('auto-generated')
        return { ...mail, from: `${from.name} <${from.email}>`, messageId: headers['Message-ID']! }
      }),
    reset: () => server.delivered.splice(0),
    close: async () => {
      await courier.close()
      await server.close()
    },
    network: {
      at: (port) => to(`http://127.0.0.1:${port}`),
      stranger: to(server.origin, 'SG.wrong'),
      variable: 'SENDGRID_API_KEY',
      refuse: (to, now) => void (now ? server.cursed.add(to) : server.cursed.delete(to)),
    },
  }
}

let silent: Server
beforeAll(async () => {
  silent = createServer((socket) => socket.on('error', () => {}))
  await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening))
})
afterAll(() => void silent.close())

let drawn = 0
const aMail = (more: Partial<Mail> = {}): Mail => {
  drawn += 1
  const { text, html } = layOut({
    greeting: 'Hello Ann,',
    blocks: [
      { kind: 'text', text: `This is mail ${drawn}.` },
      { kind: 'button', label: 'Verify', url: `https://shop.example/verify#token=${'x'.repeat(90)}${drawn}` },
    ],
    footer: 'Sent by the shop.',
  })
  return { key: `test ${drawn}`, to: `ann${drawn}@example.com`, subject: `Mail ${drawn}`, text, html, ...more }
}
const many = (count: number, more: Partial<Mail> = {}) => Array.from({ length: count }, () => aMail(more))

const failureOf = async (sending: Promise<void>): Promise<MailsFailed> => {
  const error = await sending.then(
    () => undefined,
    (thrown) => thrown,
  )
  expect(error).toBeInstanceOf(MailsFailed)
  expect(error.message).not.toMatch(/[^\s]@[^\s]|\n/)
  return error
}
const keysOf = (mails: readonly { key: string }[]) => mails.map(({ key }) => key).sort()
const subjectsOf = (mails: readonly { subject: string }[]) => mails.map(({ subject }) => subject).sort()

describe.each([
  ['the dev mailbox', devMailbox],
  ['SMTP', smtp],
  ['SendGrid', sendgrid],
] as const)('mail by %s', (name, open) => {
  let candidate: Candidate
  const mailer = () => makeMailer(candidate.courier(), () => {})
  beforeAll(async () => {
    candidate = await open()
  })
  beforeEach(() => candidate.reset())
  afterAll(() => candidate.close())

  test('arrives as it was written: sender, address, subject, text and HTML, untracked', async () => {
    const mail = aMail()
    await mailer().send([mail])
    const { key, ...rest } = mail
    expect(await candidate.delivered()).toEqual([
      expect.objectContaining({ ...rest, from: SENT_FROM, messageId: messageIdOf(key, FROM) }),
    ])
  })

  test('takes a batch of 50', async () => {
    const mails = many(50)
    await mailer().send(mails)
    expect(subjectsOf(await candidate.delivered())).toEqual(subjectsOf(mails))
  })

  test('takes 50 mails of the same contents, each to its own address only', async () => {
    const { subject, text, html } = aMail()
    const mails = many(50, { subject, text, html })
    await mailer().send(mails)
    const delivered = await candidate.delivered()
    expect(delivered.map(({ to }) => to).sort()).toEqual(mails.map(({ to }) => to).sort())
    expect(new Set(delivered.map(({ messageId }) => messageId)).size).toBe(50)
  })

  test('carries every language', async () => {
    const subject = 'Ваш заказ 注文 #1001 – “größer” als 🛒, and a subject so long that a header has to be folded twice'
    const { text, html } = layOut({
      greeting: 'Здравствуйте, Анна!',
      blocks: [{ kind: 'text', text: '注文 🛒 = é' }],
      footer: '.x',
    })
    await mailer().send([aMail({ subject, text, html })])
    expect(await candidate.delivered()).toMatchObject([{ subject, text, html }])
  })

  test.each([
    ['CR LF in the subject', { subject: 'Hello\r\nBcc: eve@example.com' }],
    ['LF in the subject', { subject: 'Hello\n\nbody' }],
    ['CR LF in the address', { to: 'ann@example.com\r\nBcc: eve@example.com' }],
    ['a second address', { to: 'ann@example.com, eve@example.com' }],
    ['a name with another address', { to: 'eve@example.com <ann@example.com>' }],
    ['no address', { to: 'ann' }],
  ])('refuses %s, and sends the others', async (_what, more) => {
    const [bad, good] = [aMail(more), aMail()]
    const { failures } = await failureOf(mailer().send([bad, good]))
    expect(failures).toEqual([{ key: bad.key, reason: expect.any(String), permanent: true }])
    expect(subjectsOf(await candidate.delivered())).toEqual([good.subject])
  })

  test('the same key is the same mail, within a batch, after it and beside it', async () => {
    const [one, two] = [aMail(), aMail()]
    const same = mailer()
    await Promise.all([same.send([one, one]), same.send([one])])
    await same.send([one, two])
    expect(subjectsOf(await candidate.delivered())).toEqual(subjectsOf([one, two]))
  })

  test('sends nothing when there is nothing to send', async () => {
    await mailer().send([])
    expect(await candidate.delivered()).toEqual([])
  })

  describe.runIf(name !== 'the dev mailbox')('when its server fails', () => {
    const network = () => candidate.network!
    test.each(['is down', 'says nothing'])('%s: an error within the time-out, for all of a batch', async (what) => {
      const { port } = silent.address() as { port: number }
      const courier = network().at(what === 'is down' ? 1 : port)
      const mails = many(20)
      const before = performance.now()
      const { failures } = await failureOf(makeMailer(courier, () => {}).send(mails))
      expect(performance.now() - before).toBeLessThan(3 * TIMEOUT_MS)
      expect(keysOf(failures)).toEqual(keysOf(mails))
      expect(failures.some(({ permanent }) => permanent)).toBe(false)
      await courier.close()
    })

    test('one mail fails for now: the others go, and sending all again sends that one only', async () => {
      const mails = many(5)
      const same = mailer()
      network().refuse(mails[2]!.to, true)
      const { failures } = await failureOf(same.send(mails))
      expect(failures).toEqual([{ key: mails[2]!.key, reason: expect.any(String), permanent: false }])
      expect(await candidate.delivered()).toHaveLength(4)
      network().refuse(mails[2]!.to, false)
      await same.send(mails)
      expect(subjectsOf(await candidate.delivered())).toEqual(subjectsOf(mails))
    })

    test('the wrong key or password: one line that names the setting', async () => {
      const mails = many(3)
      const error = await failureOf(makeMailer(network().stranger, () => {}).send(mails))
      expect(error.message).toContain(network().variable)
      expect(error.message).not.toMatch(/SG\.wrong|p@ss/)
      expect(keysOf(error.failures)).toEqual(keysOf(mails))
      expect(await candidate.delivered()).toEqual([])
      await network().stranger.close()
    })
  })
})
