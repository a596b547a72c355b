import pg from 'pg'
import type { Statement } from './statements.ts'

export type Rows = readonly any[]
/** Sends one statement by its name and resolves with its rows. */
export type Send = (statement: Statement, values: readonly unknown[]) => Promise<Rows>
export type TwinDatabase = {
  readonly one: Send
  readonly transaction: <T>(run: (send: Send) => Promise<T>) => Promise<T>
  readonly close: () => Promise<void>
}

const INT8_OID = 20

/** A bare pg pool with as many connections as the service has by default. */
export function openTwinDatabase(url: string): TwinDatabase {
  pg.types.setTypeParser(INT8_OID, Number)
  const pool = new pg.Pool({ connectionString: url, max: 20 })
  const sendOn =
    (client: pg.Pool | pg.PoolClient): Send =>
    async ({ name, text }, values) =>
      (await client.query({ name, text, values: [...values] })).rows
  return {
    one: sendOn(pool),
    transaction: async (run) => {
      const client = await pool.connect()
      try {
        await client.query('begin')
        const result = await run(sendOn(client))
        await client.query('commit')
        return result
      } catch (error) {
        await client.query('rollback')
        throw error
      } finally {
        client.release()
      }
    },
    close: () => pool.end(),
  }
}
