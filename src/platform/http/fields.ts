import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { type TSchema, Type } from 'typebox'
import type { Refusal } from '#kernel/refusal.ts'
import type { Actor } from '#platform/db/work.ts'
import { refuse } from '#platform/problems.ts'
import { escapePointer } from './problem.ts'

type Schema = { readonly [keyword: string]: unknown }
type Keyword = 'x-readable-by' | 'x-writable-by'

/** What a schema says of its fields, and of those inside them; there is none where it says nothing. */
export type FieldRule = {
  readonly permission?: string
  readonly properties: readonly (readonly [name: string, rule: FieldRule])[]
  readonly items?: FieldRule | undefined
}
type ReadRules = Readonly<Record<string, FieldRule>>

/** A property that staff and servers see with this permission only, and that is null for them without; whose it is sees it. */
export const readableBy = <Field extends TSchema>(permission: string, field: Field) =>
  Type.Union([field, Type.Null()], { 'x-readable-by': permission })

/** A property that nobody sends without this permission: platform.forbidden-field. */
export const writableBy = <Field extends TSchema>(permission: string, field: Field): Field =>
  Object.assign(Object.create(Object.getPrototypeOf(field)), field, { 'x-writable-by': permission })

const own = new WeakSet<object>()

/** Marks a part of an answer as the caller's own: no field of it is kept from them. Their own account needs no mark. */
export function asOwn<Thing extends object>(thing: Thing): Thing {
  own.add(thing)
  return thing
}

/** Makes the rules in the schemas of routes hold. A route without any does as much as before. */
export function ruleFields(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { body, response = {} } = (route.schema ?? {}) as { body?: unknown; response?: Record<string, unknown> }
    const written = ruleOf(body, 'x-writable-by')
    if (written) {
      route.preHandler = [route.preHandler ?? [], async (request: FastifyRequest) => checkBody(request, written)].flat()
      route.config = { ...route.config, refuses: [...(route.config?.refuses ?? []), 'platform.forbidden-field'] }
    }
    const reads = Object.entries(response).flatMap(([status, schema]) => {
      const rule = ruleOf(schema, 'x-readable-by')
      return rule ? [[status, rule] as const] : []
    })
    if (reads.length === 0) return
    const hide = async (_: FastifyRequest, reply: FastifyReply, payload: unknown) =>
      shownTo(reply, reply.statusCode, payload)
    route.preSerialization = [route.preSerialization ?? [], hide].flat()
    route.config = { ...route.config, ...({ reads: Object.fromEntries(reads) } as object) }
  })
}

/** An answer as whoever asks may see it: what the route's schema keeps from them is null. */
export function shownTo<Body>(reply: FastifyReply, status: number, body: Body): Body {
  const rule = (reply.routeOptions.config as { reads?: ReadRules }).reads?.[status]
  const { actor } = reply.request
  // Customers and guests reach nothing but their own.
  if (!rule || (actor.kind !== 'staff' && actor.kind !== 'server')) return body
  return hidden(body, rule, actor) as Body
}

function hidden(value: unknown, rule: FieldRule, actor: Actor): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return rule.items ? value.map((one) => hidden(one, rule.items as FieldRule, actor)) : value
  const thing = value as Record<string, unknown>
  if (own.has(thing) || (actor.userId !== null && thing.id === actor.userId)) return thing
  const shown = { ...thing }
  for (const [name, field] of rule.properties)
    if (shown[name] !== undefined) shown[name] = lacks(actor, field) ? null : hidden(shown[name], field, actor)
  return shown
}

function checkBody({ body, actor }: FastifyRequest, rule: FieldRule): void {
  const errors = forbiddenIn(body, rule, actor, '')
  if (errors.length > 0) throw forbiddenFields(errors)
}

type Forbidden = { readonly pointer: string; readonly detail: string }

function forbiddenIn(value: unknown, rule: FieldRule, actor: Actor, pointer: string): Forbidden[] {
  if (typeof value !== 'object' || value === null) return []
  const { items } = rule
  if (Array.isArray(value))
    return items ? value.flatMap((one, index) => forbiddenIn(one, items, actor, `${pointer}/${index}`)) : []
  return rule.properties.flatMap(([name, field]) => {
    if (!Object.hasOwn(value, name)) return []
    const at = `${pointer}/${escapePointer(name)}`
    if (lacks(actor, field)) return [{ pointer: at, detail: `needs ${field.permission}` }]
    return forbiddenIn((value as Schema)[name], field, actor, at)
  })
}

const lacks = ({ permissions }: Actor, { permission }: FieldRule): boolean =>
  permission !== undefined && !permissions.has(permission)

const forbiddenFields = (errors: readonly Forbidden[]): Refusal =>
  refuse('platform.forbidden-field', undefined, { errors: errors.slice(0, 20) })

/** Refuses a search by what the caller may not see, so that nobody finds out by trying: platform.forbidden-field. */
export function refuseSearchBy(parameter: string, permission: string, actor: Actor): void {
  if (actor.permissions.has(permission)) return
  throw forbiddenFields([{ pointer: `/querystring/${parameter}`, detail: `needs ${permission}` }])
}

/** What a schema's fields ask for; undefined when they ask for nothing. */
export function ruleOf(schema: unknown, keyword: Keyword): FieldRule | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { properties = {}, items, anyOf, [keyword]: permission } = schema as Schema
  const branches = ((anyOf ?? []) as unknown[]).flatMap((branch) => ruleOf(branch, keyword) ?? [])
  const fields = Object.entries(properties as object).flatMap(([name, inner]) => {
    const rule = ruleOf(inner, keyword)
    return rule ? [[name, rule] as const] : []
  })
  const rule = {
    ...(typeof permission === 'string' ? { permission } : {}),
    properties: [...fields, ...branches.flatMap((branch) => branch.properties)],
    items: ruleOf(items, keyword) ?? branches.find((branch) => branch.items)?.items,
  }
  return rule.permission || rule.items || rule.properties.length > 0 ? rule : undefined
}

/** The fields of a route that ask for a permission of their own. */
export function ruledFields({
  schema,
}: RouteOptions): readonly { field: string; may: 'read' | 'write'; permission: string }[] {
  const { body, response = {} } = (schema ?? {}) as { body?: unknown; response?: Record<string, unknown> }
  const fields = (schema: unknown, keyword: Keyword, may: 'read' | 'write') =>
    namesIn(ruleOf(schema, keyword), '').map(([field, permission]) => ({ field, may, permission }))
  return [
    ...Object.values(response).flatMap((one) => fields(one, 'x-readable-by', 'read')),
    ...fields(body, 'x-writable-by', 'write'),
  ]
}

function namesIn(rule: FieldRule | undefined, at: string): (readonly [field: string, permission: string])[] {
  if (!rule) return []
  return [
    ...(rule.permission ? [[at, rule.permission] as const] : []),
    ...namesIn(rule.items, `${at}[]`),
    ...rule.properties.flatMap(([name, inner]) => namesIn(inner, at ? `${at}.${name}` : name)),
  ]
}
