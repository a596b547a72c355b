/** What happens at a named place. */
type Breaker = (name: string) => Promise<void>

let breaker: Breaker | undefined

/**
 * A named place where a test may break the process. The product has nothing that could: a failpoint does nothing until
 * something that is loaded beside the product says what, as the tests do.
 */
export const failpoint = async (name: string): Promise<void> => breaker?.(name)

/** Says what happens at every named place from now on. */
export function breakAt(what: Breaker): void {
  breaker = what
}
