import { type CursorKind, readCursor } from '#kernel/page.ts'
import { refuse } from '#platform/problems.ts'

/** The place that a list's cursor names, as values of these kinds. Refuses platform.malformed. */
export function placeOf<const Kinds extends readonly CursorKind[]>(cursor: string, ...kinds: Kinds) {
  const place = readCursor(cursor, kinds)
  if (!place) throw badParameter('cursor', 'is not one that this list gave')
  return place
}

/** A query parameter that is wrong by a rule no schema can tell: platform.malformed. */
export const badParameter = (name: string, detail: string) =>
  refuse('platform.malformed', `${name} ${detail}.`, { errors: [{ pointer: `/querystring/${name}`, detail }] })
