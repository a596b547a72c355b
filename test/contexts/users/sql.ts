import pg from 'pg'
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
