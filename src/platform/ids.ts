import { toUUID, typeidUnboxed } from 'typeid-js'
import type { Id } from '#kernel/ids.ts'

/** A new id of this kind: text order is time order, also within one millisecond of one process. */
export const newId = <const Prefix extends string>(prefix: Prefix): Id<Prefix> =>
  typeidUnboxed(prefix) as string as Id<Prefix>

/** When this id was made, to the millisecond. */
export const madeAt = (id: Id<string>): Date =>
  new Date(
    Number.parseInt(
      toUUID(id as Parameters<typeof toUUID>[0])
        .replaceAll('-', '')
        .slice(0, 12),
      16,
    ),
  )
