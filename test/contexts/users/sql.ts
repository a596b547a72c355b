import pg from 'pg'
import { vi } from 'vitest'
import type { TestShop } from '../../kit/shop.ts'

/** Runs a statement on the shop's database as its owner. */
export async function sqlOf<Row extends object>(
  { ownerUrl }: Pick<TestShop, 'ownerUrl'>,
  statement: string,
  ...values: unknown[]
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: ownerUrl })
  await client.connect()
  try {
    return (await client.query<Row>(statement, values)).rows
  } finally {
    await client.end()
  }
}

/** How many statements this takes, but for those of the ring of keys, which looks at the database now and then, and the word to
 * other processes, which goes out 50 ms after a commit. */
export async function statementsOf(run: () => Promise<unknown>): Promise<number> {
  const query = vi.spyOn(pg.Client.prototype, 'query')
  try {
    await run()
    return query.mock.calls.filter(
      ([asked]) => !/platform\.(data_keys|key_holders)|pg_notify/.test(JSON.stringify(asked)),
    ).length
  } finally {
    query.mockRestore()
  }
}
