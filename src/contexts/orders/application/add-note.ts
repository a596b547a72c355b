import type { Id, OrderId } from '#kernel/ids.ts'
import type { Reader, Work } from '#platform/db/work.ts'
import type { Order } from '../domain/order.ts'
import { refuse } from '../domain/problems.ts'

export type NoteId = Id<'note'>
export type NewNote = { readonly id: NoteId; readonly orderId: OrderId; readonly text: string }

export type AddNoteNeeds = {
  readonly findOrder: (db: Reader, id: OrderId) => Promise<Order | undefined>
  readonly newNoteId: () => NoteId
  readonly insertNote: (work: Work, note: NewNote) => Promise<void>
}

/** Adds a note of staff to an order's timeline. Refuses orders.not-found. */
export const addNote =
  (needs: AddNoteNeeds) =>
  async (work: Work, orderId: OrderId, text: string): Promise<NewNote> => {
    if (!(await needs.findOrder(work.tx, orderId))) throw refuse('orders.not-found')
    const note = { id: needs.newNoteId(), orderId, text }
    await needs.insertNote(work, note)
    return note
  }
