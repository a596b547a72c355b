import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Document, Operation, Parameter } from './document.ts'
import { INJECTIONS } from './hostile.ts'

export const LIMIT_MS = 1_000
/** No problem document of ours has reason to be longer, whatever it is about. */
const MOST_PROBLEM_BYTES = 16_384
/** What only somebody inside knows: files, statements, libraries, values that were never meant to be text. */
const INSIDE =
  /\.[jt]s:\d|\bat [\w.]+ \(|node_modules|node:internal|\b(select|insert into|delete from)\b|postgres|pg_|relation "|violates|\bajv\b|FST_ERR|ECONN|ENOENT|\[object |\bundefined\b|\bNaN\b/i

export type Answered = {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly ms: number
}

/** Holds answers against the API's document: what is told is what of an answer it does not say. */
export function judgeOf(document: Document) {
  const strict = ajvOf(document, false)
  const coercing = ajvOf(document, true)
  const compiled = new Map<string, ValidateFunction>()
  const checker = (key: string, compile: () => ValidateFunction): ValidateFunction => {
    const check = compiled.get(key) ?? compile()
    compiled.set(key, check)
    return check
  }
  const checkerAt = (...path: readonly string[]) =>
    checker(pointerTo(path), () => strict.compile({ $ref: pointerTo(path) }))
  const fitsAsText = (path: readonly string[], text: string): boolean =>
    checker(`text ${pointerTo(path)}`, () =>
      coercing.compile({ type: 'object', properties: { text: { $ref: pointerTo(path) } } }),
    )({ text })
  const responseAt = ({ path, method }: Operation, status: number, type: string) =>
    checkerAt('paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema')

  return {
    /** Whether a JSON body is one that the operation says it takes. */
    takesBody: ({ path, method }: Operation, body: unknown): boolean =>
      checkerAt('paths', path, method.toLowerCase(), 'requestBody', 'content', 'application/json', 'schema')(body),

    /** Whether a text is one that a parameter takes. */
    takesText: ({ path, method, parameters }: Operation, parameter: Parameter, text: string): boolean =>
      fitsAsText(
        ['paths', path, method.toLowerCase(), 'parameters', String(parameters.indexOf(parameter)), 'schema'],
        text,
      ),

    /** What is wrong with an answer; nothing is said of one that is as the document says. */
    wrongIn(operation: Operation, { status, headers, body, ms }: Answered): string[] {
      const type = String(headers['content-type'] ?? '').split(';', 1)[0] ?? ''
      const documented = operation.responses[status]
      const told = [
        ...(status >= 500 ? ['is our fault'] : []),
        ...(ms < LIMIT_MS ? [] : [`took ${Math.round(ms)} ms`]),
        ...(status >= 400 && type !== 'application/problem+json'
          ? [`is ${type || 'nothing'}, no problem document`]
          : []),
        ...(status >= 400 && body.length > MOST_PROBLEM_BYTES ? [`is a problem of ${body.length} bytes`] : []),
        ...(status >= 400 ? strangeNames(asJson(body)).map((name) => `has a fact ${name.slice(0, 80)}`) : []),
        ...(status >= 400 && INSIDE.test(body) && INSIDE.test(withoutInjections(body)) ? ['tells of our inside'] : []),
      ]
      if (!documented) return [...told, 'is a status that is not documented']
      if (!documented.content?.[type]) return [...told, ...(body === '' ? [] : [`is ${type}, which is not documented`])]
      if (!type.endsWith('json')) return told
      const check = responseAt(operation, status, type)
      return check(asJson(body)) ? told : [...told, `does not fit its schema: ${strict.errorsText(check.errors)}`]
    },
  }
}
export type Judge = ReturnType<typeof judgeOf>

const ajvOf = (document: Document, coerceTypes: boolean): Ajv2020 =>
  (addFormats as unknown as (ajv: Ajv2020) => Ajv2020)(
    new Ajv2020({ strict: false, allErrors: true, coerceTypes }),
  ).addSchema(document, 'api')

const pointerTo = (path: readonly string[]): string =>
  `api#/${path.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`

/** Names in a problem document that nobody of ours chose: none of its facts is called as a request wants. */
function strangeNames(problem: unknown): string[] {
  const { errors = [], ...facts } = (problem ?? {}) as { errors?: readonly object[] }
  return [facts, ...errors].flatMap(Object.keys).filter((name) => !/^[a-z][A-Za-z]{1,30}$/.test(name))
}

/** What was sent may be said again: the name of an option is one of the shop's own. */
const withoutInjections = (body: string): string =>
  INJECTIONS.filter(Boolean).reduce((left, text) => left.replaceAll(JSON.stringify(text).slice(1, -1), ''), body)

function asJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
