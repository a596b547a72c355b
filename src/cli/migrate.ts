import { Command } from 'commander'
import { readConfig } from '../config.ts'
import { connect, prepare, tell } from './connect.ts'

export const command = new Command('migrate').description('bring the database to this version').action(async () => {
  const connection = await connect(readConfig())
  try {
    await prepare(connection)
    tell(`${connection.place} is up to date`)
  } finally {
    await connection.close()
  }
})
