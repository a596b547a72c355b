import { LRUCache } from 'lru-cache'

export type Cache<Value extends {}> = {
  /** What is kept under this key, or what `make` makes; asked for at once by many, it is made once. */
  get(key: string, make: () => Promise<Value>): Value | Promise<Value>
  /** What is kept under this key; never waits for what is being made. */
  peek(key: string): Value | undefined
  /** Keeps what was made elsewhere. */
  keep(key: string, value: Value): void
  /** Forgets everything, also what is being made now: it goes to those who wait for it and is not kept. */
  forget(): void
}

/** A cache of this process: nothing in it is older than `ttlMs`, and together no larger than `maxSize`. */
export function makeCache<Value extends {}>(options: {
  readonly ttlMs: number
  readonly maxSize: number
  readonly sizeOf?: (value: Value) => number
}): Cache<Value> {
  const { ttlMs: ttl, maxSize, sizeOf = () => 1 } = options
  const kept = new LRUCache<string, Value>({ ttl, maxSize, sizeCalculation: sizeOf })
  let flying = new Map<string, Promise<Value>>()
  return {
    get(key, make) {
      const value = kept.get(key) ?? flying.get(key)
      if (value !== undefined) return value
      const flights = flying
      const flight = make()
        .then((made) => {
          if (flights === flying) kept.set(key, made)
          return made
        })
        .finally(() => flights.delete(key))
      flights.set(key, flight)
      return flight
    },
    peek: (key) => kept.get(key),
    keep: (key, value) => void kept.set(key, value),
    forget() {
      kept.clear()
      flying = new Map()
    },
  }
}

/** Gathers the keys that are asked for in one turn of the event loop and loads them together. */
export function batched<Value>(loadAll: (keys: readonly string[]) => Promise<ReadonlyMap<string, Value>>) {
  let batch: { readonly keys: Set<string>; readonly loaded: Promise<ReadonlyMap<string, Value>> } | undefined
  return async (key: string): Promise<Value | null> => {
    batch ??= open()
    batch.keys.add(key)
    return (await batch.loaded).get(key) ?? null
  }
  function open() {
    const keys = new Set<string>()
    const loaded = new Promise((resolve) => setImmediate(resolve)).then(() => {
      batch = undefined
      return loadAll([...keys])
    })
    return { keys, loaded }
  }
}
