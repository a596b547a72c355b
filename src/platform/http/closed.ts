import type { FastifyInstance } from 'fastify'
import { closed } from './schemas.ts'

type Schema = { readonly [keyword: string]: unknown }
const isSchema = (value: unknown): value is Schema => typeof value === 'object' && value !== null

/**
 * Refuses to boot with a route whose input has an object schema that would let unknown properties through. A route of
 * the API that names no query takes none.
 */
export function refuseOpenSchemas(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { method, url, schema = {} } = route
    if (!schema.hide) route.schema = { querystring: closed({}), ...schema }
    const inputs = schema as Record<string, unknown>
    for (const part of ['body', 'querystring', 'params']) {
      const open = openObject(inputs[part], part)
      if (open) throw new Error(`${String(method)} ${url}: the object schema at ${open} is open: use closed({…}).`)
    }
  })
}

/** Where the first open object schema stands; undefined when all are closed. */
function openObject(schema: unknown, path: string): string | undefined {
  if (!isSchema(schema)) return undefined
  if (schema.type === 'object' && schema.additionalProperties === undefined) return path
  if (schema.type === 'object' && schema.additionalProperties === true) return path
  for (const [keyword, inner] of Object.entries(schema)) {
    const children = keyword === 'properties' && isSchema(inner) ? Object.entries(inner) : [[keyword, inner] as const]
    for (const [name, child] of children) {
      const list = Array.isArray(child) ? child : [child]
      for (const one of list) {
        const open = openObject(one, `${path}/${name}`)
        if (open) return open
      }
    }
  }
  return undefined
}
