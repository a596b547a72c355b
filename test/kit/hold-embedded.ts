import { startEmbedded } from '#platform/db/embedded.ts'

/** A process that owns an embedded PostgreSQL until it is told to stop, or killed. Run as: node hold-embedded.ts DATA_DIR */
const embedded = await startEmbedded({ dataDir: process.argv[2]!, log: console.error, durable: false })
process.once('SIGTERM', () => embedded.stop().then(() => process.exit(0)))
console.log('ready')
