import { resolve } from 'node:path'

/** One line that names the variable and says what it takes: the start stops on it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export type Environment = Readonly<Record<string, string | undefined>>
export type Reader = ReturnType<typeof reader>

/** The variables that are set: an empty one counts as not set. */
export const definedIn = (env: Environment) => Object.fromEntries(Object.entries(env).filter(([, value]) => value))

/** Rethrows a key's own one-line complaint as a ConfigError. */
export function told<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new ConfigError((error as Error).message)
  }
}

/** Reads single variables; an empty one counts as not set. Throws a ConfigError that never tells a value which may be secret. */
export function reader(env: Environment) {
  const get = (name: string) => env[name]?.trim() || undefined
  const matching = (name: string, pattern: RegExp, fallback: string): string => {
    const value = get(name) ?? fallback
    if (!pattern.test(value)) throw new ConfigError(`${name} must match ${pattern.source}.`)
    return value
  }
  return {
    text: (name: string, fallback: string) => get(name) ?? fallback,
    matching,
    list: (name: string, fallback: string[]) =>
      get(name)
        ?.split(',')
        .map((item) => item.trim())
        .filter(Boolean) ?? fallback,
    integer: (name: string, fallback: number, least: number, most: number): number => {
      const text = get(name)
      const value = text === undefined ? fallback : Number(text)
      if (!Number.isInteger(value) || value < least || value > most)
        throw new ConfigError(`${name} must be a whole number from ${least} to ${most}, not ${text}.`)
      return value
    },
    oneOf: (name: string, allowed: string[], fallback: string): string => {
      const value = get(name) ?? fallback
      if (!allowed.includes(value)) throw new ConfigError(`${name} must be one of ${allowed.join(', ')}, not ${value}.`)
      return value
    },
    path: (name: string): string | undefined => {
      const value = get(name)
      return value && resolve(value)
    },
    url: (name: string, protocols: string[]): string | undefined => {
      const value = get(name)
      if (value === undefined) return undefined
      if (!URL.canParse(value) || !protocols.includes(new URL(value).protocol))
        throw new ConfigError(
          `${name} must be a URL that starts with ${protocols.map((one) => `${one}//`).join(' or ')}.`,
        )
      return value
    },
  }
}
