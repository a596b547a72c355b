/** Whether all of it is wanted, with the figures of the published table (`make chaos`), or the short form of `make test`. */
export const FULL = process.env.CHAOS === 'full'

/** What every random choice of a run follows from: the same seed, the same run. */
export const SEED = Number(process.env.CHAOS_SEED ?? 1)

/** The number for the short form, or for the full one. */
export const sized = (short: number, full: number): number => (FULL ? full : short)

/** All of them in an order by chance: with the same numbers, the same one. */
export const shuffled = <One>(all: Iterable<One>, random: () => number): One[] =>
  Array.from(all, (one) => ({ one, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ one }) => one)
