import type { Ask, Headers, MakeAsk } from './asks.ts'
import { badPartsBy, type Refused, withQuery, withToken } from './bad-parts.ts'
import { bodySchemaOf, type Operation, parametersIn } from './document.ts'
import type { Fault } from './faults.ts'
import { INJECTIONS, TOKENS, VALUES } from './hostile.ts'
import type { Judge } from './judge.ts'

type Needs = {
  readonly makeAsk: MakeAsk
  readonly judge: Judge
  readonly faults: (schema: object) => Fault[]
  readonly random: () => number
}

/** Makes the requests that an operation is to refuse: each fault of each part once, then more of them by chance. */
export function invalidBy({ makeAsk, judge, faults, random }: Needs) {
  const parts = badPartsBy(judge, faults)
  const oneOf = <Value>(values: readonly Value[]): Value => values[Math.floor(random() * values.length)] as Value

  /** A body that fits but for one value somewhere in it; undefined when what came of it fits too. */
  const twisted = (operation: Operation, sound: Ask): Refused | undefined => {
    if (!bodySchemaOf(operation) || typeof sound.payload !== 'string') return undefined
    const value = oneOf([...VALUES, ...INJECTIONS])
    const payload = JSON.stringify(replaceSomewhere(JSON.parse(sound.payload), value, random))
    if (judge.takesBody(operation, JSON.parse(payload))) return undefined
    const why = `${JSON.stringify(value).slice(0, 60)} somewhere in the body`
    return { why, ask: { ...sound, payload }, status: [400, 413, 422] }
  }

  const byChance = (operation: Operation, sound: Ask): Refused => {
    const unknown = `${encodeURIComponent(oneOf(INJECTIONS))}${Math.floor(random() * 1e6)}`
    const known = parametersIn(operation, 'query')
    const made = oneOf([
      () => twisted(operation, sound),
      () => twisted(operation, sound),
      () => withQuery(sound, known.length > 0 ? oneOf(parts.texts(operation, oneOf(known))) : unknown),
      () => withQuery(sound, `${unknown}=${encodeURIComponent(oneOf(INJECTIONS))}`),
      () => withToken(sound, `Bearer ${oneOf(TOKENS)}.${random().toString(36)}.${random()}`),
    ])()
    return made ?? byChance(operation, sound)
  }

  /** At least so many; those by chance as one of `who` after another, the first of whom may do everything. */
  return (operation: Operation, most: number, seed: number, who: readonly [Headers, ...Headers[]]): Refused[] => {
    const known = parts.all(operation, makeAsk(operation, seed, who[0]))
    const more = Array.from({ length: Math.max(0, most - known.length) }, (_, index) => {
      const as = who[index % who.length] as Headers
      const refused = byChance(operation, makeAsk(operation, seed + index + 1, as))
      // The path fits the document, but may still be longer than any of ours.
      return { ...refused, status: [...refused.status, 400, ...(as === who[0] ? [] : [401, 403, 404])] }
    })
    return [...known, ...more]
  }
}

/** A copy in which one value, however deep, is another, or a property with that value was added. */
function replaceSomewhere(given: unknown, value: unknown, random: () => number): unknown {
  if (typeof given !== 'object' || given === null || random() < 0.15) return value
  const keys = Object.keys(given)
  if (keys.length === 0 || random() < 0.1)
    return Array.isArray(given) ? [...given, value] : { ...given, [`added${keys.length}`]: value }
  const key = keys[Math.floor(random() * keys.length)] as string
  const inner = replaceSomewhere((given as Record<string, unknown>)[key], value, random)
  return Array.isArray(given) ? given.with(Number(key), inner) : { ...given, [key]: inner }
}
