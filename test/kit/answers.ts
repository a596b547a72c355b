import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { checkAnswersWith } from '#platform/http/answer.ts'

const ajv = (addFormats as unknown as (ajv: Ajv) => Ajv)(new Ajv({ strict: false, allErrors: true }))

/** Serialising hides what a schema does not name: in tests each answer must fit its schema before it is serialised. */
export const validateEveryAnswer = (): void =>
  checkAnswersWith((reply, { status, body }) => expectToFit(reply.routeOptions.schema?.response, status, body))

/** Throws unless the body fits the schema that the API documents for this status. */
export function expectToFit(responses: unknown, status: number, body: unknown): void {
  const schema = (responses as Record<string, object> | undefined)?.[String(status)]
  if (!schema || status === 204) return
  if (!ajv.validate(schema, JSON.parse(JSON.stringify(body))))
    throw new Error(`The answer does not fit its schema: ${ajv.errorsText(ajv.errors)}`)
}
