import { FULL } from '../kit/chaos.ts'
import type { Ask } from './asks.ts'
import { bodySchemaOf, type Operation, type Parameter, parametersIn, takes } from './document.ts'
import type { Fault } from './faults.ts'
import { BODIES, CODINGS, CURSORS, INJECTIONS, KEYS, NUMBERS, PIECES, QUERIES, TOKENS, TYPES } from './hostile.ts'
import type { Judge } from './judge.ts'

/** A request that is to be refused, and by which statuses. */
export type Refused = { readonly why: string; readonly ask: Ask; readonly status: readonly number[] }

export const REFUSED = [400, 404, 422]

/** All of a list in the full form; in the short one a quarter, another one for each operation. */
const some = <Value>(list: readonly Value[], { operationId }: Operation): readonly Value[] =>
  FULL ? list : list.filter((_, index) => (index + operationId.length) % 4 === 0)

/** Makes the requests in which exactly one part is bad: its body, its query, its path or a header. */
export function badPartsBy(judge: Judge, faults: (schema: object) => Fault[]) {
  const bodies = (operation: Operation, sound: Ask): Refused[] => {
    const schema = bodySchemaOf(operation)
    if (!schema) return unreadBodies(operation, sound)
    const hostile = BODIES.filter(([, payload]) => payload !== 'null' || !judge.takesBody(operation, null))
    return [
      ...faults(schema).map(({ why, value, status }) => ({
        why: `body: ${why}`,
        ask: { ...sound, payload: JSON.stringify(value) },
        status: [status],
      })),
      ...some(hostile, operation).map(([why, payload, status]) => ({ why, ask: { ...sound, payload }, status })),
      ...some(TYPES, operation).map((type) => ({
        why: `the body is ${type}`,
        ask: { ...withHeader(sound, 'content-type', type), payload: '{}' },
        status: [400, 415],
      })),
      ...some(CODINGS, operation).map((coding) => ({
        why: `the body is encoded by ${coding}`,
        ask: withHeader(sound, 'content-encoding', coding),
        status: [415],
      })),
    ]
  }

  const queries = (operation: Operation, sound: Ask): Refused[] =>
    [
      ...some(QUERIES, operation),
      ...parametersIn(operation, 'query').flatMap((one) => some(texts(operation, one), operation)),
    ].map((query) => withQuery(sound, query))

  /** Texts that a parameter does not take, written as a query. */
  const texts = (operation: Operation, parameter: Parameter): string[] => {
    const key = encodeURIComponent(parameter.name)
    const isCursor = parameter.name === 'cursor'
    const faulty = faults(parameter.schema).map(({ value }) => String(value))
    const all = new Set([...faulty, ...INJECTIONS, ...NUMBERS, ...(isCursor ? CURSORS : [])])
    return [
      ...[`${key}=1&${key}=1`, `${key}[]=1`, `${key}=%00`, `${key}=%ff%fe%e0%a4`],
      ...[...all]
        .filter((text) => text.isWellFormed() && (isCursor || !judge.takesText(operation, parameter, text)))
        .map((text) => `${key}=${encodeURIComponent(text)}`),
    ]
  }

  const paths = (operation: Operation, sound: Ask): Refused[] =>
    parametersIn(operation, 'path').flatMap(({ name }) =>
      some(PIECES, operation).map((piece) => {
        const place = operation.path.split('/').indexOf(`{${name}}`)
        const url = pathOf(sound).split('/').with(place, piece).join('/')
        return { why: `${name}: ${piece.slice(0, 40)}`, ask: { ...sound, url }, status: REFUSED }
      }),
    )

  const headers = (operation: Operation, sound: Ask): Refused[] => [
    ...(takes(operation, 'Idempotency-Key') ? some(KEYS, operation) : []).map((key) => ({
      why: `Idempotency-Key: ${key.slice(0, 20)}`,
      ask: withHeader(sound, 'idempotency-key', key),
      status: REFUSED,
    })),
    ...some(TOKENS, operation).map((token) => withToken(sound, token)),
  ]

  return {
    texts,
    all: (operation: Operation, sound: Ask): Refused[] =>
      [bodies, queries, paths, headers].flatMap((make) => make(operation, sound)),
  }
}

/** Bodies for an operation that takes none; providers' webhooks, and files, are read as they come. */
const unreadBodies = (operation: Operation, sound: Ask): Refused[] =>
  operation.method === 'GET' || operation.requestBody || /Webhook$/.test(operation.operationId)
    ? []
    : some(BODIES, operation)
        .filter(([, payload]) => payload !== '' && payload !== 'null')
        .map(([why, payload, status]) => ({
          why: `a body where none is taken: ${why}`,
          ask: { ...withHeader(sound, 'content-type', 'application/json'), payload },
          status,
        }))

const pathOf = ({ url }: Ask): string => url.split('?', 1)[0] as string
const withHeader = (ask: Ask, name: string, value: string): Ask => ({
  ...ask,
  headers: { ...ask.headers, [name]: value },
})

export const withQuery = (ask: Ask, query: string): Refused => ({
  why: `?${query.slice(0, 80)}`,
  ask: { ...ask, url: `${pathOf(ask)}?${query}` },
  status: REFUSED,
})

export const withToken = (ask: Ask, token: string): Refused => ({
  why: `Authorization: ${token.slice(0, 40)}`,
  ask: withHeader(ask, 'authorization', token),
  status: [401],
})
