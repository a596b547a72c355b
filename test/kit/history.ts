import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Line, Reply } from './buyer.ts'

/** What a client asks for under a key. */
export type Asked =
  | { readonly what: 'order'; readonly cartId: string; readonly lines: readonly Line[] }
  | { readonly what: 'payment'; readonly paymentId: string }
  | { readonly what: 'capture'; readonly paymentId: string; readonly amountMinor: number }
  | { readonly what: 'refund'; readonly paymentId: string; readonly amountMinor: number }

/** `unknown`: it may have happened or not, until a repeat with the same key tells. */
export type Told = 'acknowledged' | 'refused' | 'unknown'

/** What an acknowledgement says, in short. */
export type Answer = {
  readonly id: string
  readonly status: string
  readonly paymentId?: string
  readonly amountMinor?: number
  readonly lines?: readonly Line[]
}

/** One line of a history: what was asked under a key, and what came of it as far as the client can know. */
export type Seen = {
  readonly asked: Asked
  readonly key: string
  readonly told: Told
  readonly status: number
  readonly code?: string
  readonly answer?: Answer
  readonly askedAt: number
  readonly answeredAt: number
}

export type History = {
  readonly file: string
  /** Sends it once and writes down what came of it. */
  ask(asked: Asked, key: string, request: () => Promise<Reply>): Promise<Reply>
  /** Repeats it with its key until it is no longer unknown, or the time is over. */
  insist(asked: Asked, key: string, request: () => Promise<Reply>): Promise<Reply>
  /** Everything that was written, by whichever process. */
  read(): Seen[]
  remove(): void
}

const REPEAT_MS = 250
/** An attempt to pay whose process died is leased to it, then to one that heals it, which may die as well. */
const INSIST_MS = 90_000

/** Opens a history: each line is in the file before its client goes on, and stays there if the tester dies. */
export function openHistory(
  file: string = join(mkdtempSync(join(tmpdir(), 'stoa-history-')), 'history.jsonl'),
): History {
  appendFileSync(file, '')
  const ask: History['ask'] = async (asked, key, request) => {
    const askedAt = Date.now()
    const reply = await request()
    const seen = { asked, key, ...readReply(asked, reply), askedAt, answeredAt: Date.now() }
    appendFileSync(file, `${JSON.stringify(seen satisfies Seen)}\n`)
    return reply
  }
  return {
    file,
    ask,
    insist: async (asked, key, request) => {
      for (const until = Date.now() + INSIST_MS; ; await pause(REPEAT_MS)) {
        const reply = await ask(asked, key, request)
        if (isFinal(asked, reply) || Date.now() > until) return reply
      }
    },
    read: () => readHistory(file),
    remove: () => rmSync(file, { force: true }),
  }
}

/** What stands in a history; a last line that was not written to its end is left out. */
export const readHistory = (file: string): Seen[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

/** Told once more with the same key, these may become something else. */
const PASSING = new Set<unknown>(['platform.in-progress', 'platform.busy', 'platform.unavailable'])

const isFinal = (asked: Asked, reply: Reply): boolean =>
  readReply(asked, reply).told !== 'unknown' && !PASSING.has(reply.body?.code)

function readReply(asked: Asked, { status, body }: Reply): Pick<Seen, 'told' | 'status' | 'code' | 'answer'> {
  const code: string | undefined = body?.code
  if (status >= 200 && status < 300) return { told: 'acknowledged', status, answer: answerOf(body) }
  return { told: isRefusal(asked, status, code) ? 'refused' : 'unknown', status, ...(code ? { code } : {}) }
}

/**
 * Whether the client may take it for not done. An order is one transaction: when it is busy or unavailable, and not of
 * unknown outcome, nothing has happened. Where the provider is called, it may have been begun.
 */
function isRefusal({ what }: Asked, status: number, code: string | undefined): boolean {
  if (code === 'platform.in-progress') return false
  if (PASSING.has(code)) return what === 'order'
  return status >= 400 && status < 500
}

const answerOf = ({ id, status, payment, total, amount, items }: Reply['body']): Answer => ({
  id,
  status,
  ...(payment ? { paymentId: payment.id } : {}),
  ...(total || amount ? { amountMinor: (total ?? amount).amountMinor } : {}),
  ...(items ? { lines: items.map(({ variantId, quantity }: Line): Line => ({ variantId, quantity })) } : {}),
})
