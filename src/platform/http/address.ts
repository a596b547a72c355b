import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { Actor } from '#platform/db/work.ts'
import { refuse } from '#platform/problems.ts'

/**
 * The shopper's address that a server key names (X-Buyer-IP): a shop that renders on its server has one address for all.
 * From anyone else it means nothing. Refuses platform.malformed for what is no IP address.
 */
export function buyerAddressOf(headers: IncomingHttpHeaders, { kind }: Actor): string | undefined {
  const given = headers['x-buyer-ip']
  if (kind !== 'server' || given === undefined) return undefined
  if (typeof given === 'string' && isIP(given) !== 0) return given
  throw refuse('platform.malformed', 'X-Buyer-IP takes one IPv4 or IPv6 address.', {
    errors: [{ pointer: '/headers/x-buyer-ip', detail: 'takes one IPv4 or IPv6 address' }],
  })
}

/** Whose an address is: an IPv4 address as it stands, also inside IPv6; of an IPv6 address its /64, which one subscriber has whole. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped) return mapped
  const [head = '', tail] = (address.split('%', 1)[0] ?? '').split('::')
  const front = head ? head.split(':') : []
  const zeros = tail === undefined ? 0 : 8 - front.length - (tail ? tail.split(':').length : 0)
  const groups = [...front, ...Array<string>(zeros).fill('0'), ...(tail ? tail.split(':') : [])]
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16))
  return `${network.join(':')}::/64`
}
