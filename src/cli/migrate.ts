import { Command } from 'commander'
import { readConfig } from '../config.ts'
import { connect, prepare, tell } from './connect.ts'

export const command = new Command('migrate').description('bring the database to this version').action(async () => {
  const config = readConfig()
  const connection = await connect(config)
  try {
    await prepare(connection, config)
    tell(`${connection.place} is up to date`)
  } finally {
    await connection.close()
  }
})
