import type { Attack } from './attacks.ts'

const SHORT = 4_000
/** What readers of HTTP disagree about. */
const PIECES: readonly string[] = [
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    '\0',
    ' ',
    '\t',
    ':',
    ';',
    ',',
    '"',
    '%',
    '\x7f',
    '\xff',
    '\x0b',
    '0',
    '-',
    'chunked',
  ],
  ...[
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: close\r\n',
    'HTTP/1.1',
    '0\r\n\r\n',
    'GET ',
  ],
]

/** An attack, or two of them spliced, with some of its bytes left out, doubled, changed or put in. */
export function deformed(attacks: readonly Attack[], random: () => number): Buffer {
  const below = (most: number) => Math.floor(random() * most)
  const short = attacks
    .map(({ bytes }) => bytes())
    .filter((one) => typeof one === 'string' && one.length < SHORT) as string[]
  const one = () => short[below(short.length)] as string
  const spliced = () => {
    const [first, second] = [one(), one()]
    return first.slice(0, below(first.length)) + second.slice(below(second.length))
  }
  let text = random() < 0.3 ? spliced() : one()
  for (let times = 1 + below(4); times > 0; times -= 1) {
    const at = below(text.length + 1)
    const upTo = at + below(12)
    const piece = PIECES[below(PIECES.length)] as string
    text = [
      () => text.slice(0, at) + text.slice(upTo),
      () => text.slice(0, upTo) + text.slice(at),
      () => text.slice(0, at) + piece + text.slice(at),
      () => text.slice(0, at) + piece + text.slice(at + piece.length),
      () => text.slice(0, at) + String.fromCharCode(below(256)) + text.slice(at + 1),
    ][below(5)]!()
  }
  return Buffer.from(text, 'latin1')
}
