import type { FastifyInstance } from 'fastify'
import { type CatalogContext, catalog } from '#contexts/catalog/index.ts'
import { type OrdersContext, orders } from '#contexts/orders/index.ts'
import { type PaymentsContext, payments } from '#contexts/payments/index.ts'
import { type UsersContext, users } from '#contexts/users/index.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Problems } from '#kernel/refusal.ts'
import { auditRoutes } from '#platform/audit/http.ts'
import { auditPersonalData } from '#platform/audit/personal-data.ts'
import { backupMeasures } from '#platform/backup/measures.ts'
import { openRedis } from '#platform/cache/redis.ts'
import { makePerform, type Perform } from '#platform/db/perform.ts'
import { type Database, openDatabase } from '#platform/db/pool.ts'
import { forgetOldReceipts } from '#platform/db/receipts.ts'
import { makeAnswer } from '#platform/http/answer.ts'
import { addHealth } from '#platform/http/health.ts'
import { describeApi } from '#platform/http/openapi.ts'
import { operationRoutes } from '#platform/http/operations.ts'
import { originsOf } from '#platform/http/origins.ts'
import { addPages } from '#platform/http/pages.ts'
import { makeServer } from '#platform/http/server.ts'
import { runDueJobs, startJobs } from '#platform/jobs/jobs.ts'
import { makePump, type Pump } from '#platform/jobs/pump.ts'
import { jobMeasures } from '#platform/jobs/queue.ts'
import { type Limits, makeLimits } from '#platform/limits/limits.ts'
import { mailboxPages } from '#platform/mail/mailbox-pages.ts'
import { openMail } from '#platform/mail/open-mail.ts'
import { consumersOf } from '#platform/messaging/consume.ts'
import { forgetOldEvents, messagingMeasures } from '#platform/messaging/dead-letters.ts'
import { makeLocalTransport } from '#platform/messaging/local.ts'
import { makeRelay } from '#platform/messaging/relay.ts'
import { listenForEvents, makeNotifier } from '#platform/messaging/wake.ts'
import type { Context, Platform } from '#platform/platform.ts'
import { platformProblems } from '#platform/problems.ts'
import { makeCallWatch } from '#platform/resilience/call-watch.ts'
import { keyMeasures } from '#platform/security/data-keys.ts'
import { type Encryption, makeEncryption } from '#platform/security/encryption.ts'
import { makeGuestTokens } from '#platform/security/guest-tokens.ts'
import { openKeyRing } from '#platform/security/key-ring.ts'
import { type Log, makeLog } from '#platform/telemetry/log.ts'
import { makeMetrics } from '#platform/telemetry/metrics.ts'
import { auditMeasures } from './audit/measures.ts'
import type { Config } from './config.ts'

export type App = {
  readonly config: Config
  readonly log: Log
  readonly http: FastifyInstance
  readonly database: Database
  readonly perform: Perform
  readonly limits: Limits
  readonly encryption: Encryption
  readonly contexts: { users: UsersContext; catalog: CatalogContext; payments: PaymentsContext; orders: OrdersContext }
  /** The names of all consumers with the event type each listens to: what `stoa audit` holds the books against. */
  readonly consumers: readonly { readonly type: string; readonly name: string }[]
  /** Publishes events and runs everything else that is due, until nothing is left: for tests and short commands. */
  readonly settle: () => Promise<void>
  /** Runs the background jobs that are due, until none is left. */
  readonly runJobs: () => Promise<void>
  /** Starts the background work of this process: relay, sweepers, inbox, jobs. */
  readonly startWork: () => Promise<void>
  /** Ends requests and background work in that order, then closes the pool. Nothing under way is dropped. */
  readonly close: () => Promise<void>
}

export type AppOptions = { readonly clock?: Clock; readonly log?: Log; readonly databaseUrl: string }

/** Builds the service: platform once, each context once, in dependency order. Opens the pool, but no port. */
export async function buildApp(config: Config, options: AppOptions): Promise<App> {
  const clock = options.clock ?? (() => new Date())
  const log = options.log ?? makeLog({ level: config.logLevel })
  const metrics = makeMetrics()
  const watchCalls = makeCallWatch(metrics.calls, log)
  const database = openDatabase({
    url: options.databaseUrl,
    maxConnections: config.databaseConnections,
    connectTimeoutMs: 5_000,
    onIdleError: (error) => log.warn({ err: error }, 'an idle database connection broke'),
  })
  const { db } = database

  const pumps: Pump[] = []
  const runs: (() => Promise<unknown>)[] = []
  const pump: Platform['pump'] = (one) => {
    const made = makePump({ ...one, log })
    pumps.push(made)
    runs.push(one.run)
    return made
  }
  let working = false
  const ring = { db, masterKeys: config.encryptionKeys, refreshMs: config.keyRefreshMs, log }
  const keys = await openKeyRing(ring).catch(async (error) => {
    await database.close()
    throw error
  })
  const encryption = makeEncryption(keys)
  const others = makeNotifier(db, log)
  // Events that nobody here waits for are published by the next poll: no batch of their own for each.
  const perform = makePerform(db, clock, encryption.seal, (emitted) => {
    if (!emitted.some(({ type }) => heard.has(type))) return
    if (working) relay.wake()
    else others.notify()
  })
  const guestTokens = makeGuestTokens(config.tokenSecrets)
  const mail = await openMail({ ...config, clock, watchCalls })
  const redis = config.redisUrl && config.rateLimits ? openRedis({ url: config.redisUrl, log }) : undefined
  const limits = makeLimits({ enabled: config.rateLimits, clock, encryption, redis })
  const origins = originsOf(config)
  const platform: Platform = {
    db,
    perform,
    clock,
    log,
    encryption,
    guestTokens,
    mail: mail.mailer,
    limits,
    origins,
    watchCalls,
    pump,
    ...makeAnswer(db, perform, encryption),
  }

  const contexts = await buildContexts(platform, config)
  const all: readonly Context[] = Object.values(contexts)
  const consumers = consumersOf(all.map((context) => context.on))
  const heard = new Set(consumers.map(({ type }) => type))
  const transport = makeLocalTransport(perform, db, consumers, clock, log, () => retries.wake())
  const events = makeRelay(perform, transport, log)
  const relay = pump({ name: 'relay', everyMs: 1_000, atLeastMs: 5, run: events.publish })
  const retries = pump({ name: 'retries', everyMs: 1_000, run: transport.retryDue })
  const measures = [
    ...messagingMeasures(db),
    ...jobMeasures(db),
    ...keyMeasures(db),
    ...auditMeasures(db, clock),
    ...backupMeasures(db, clock),
    ...mail.measures,
  ]
  metrics.add(...measures, ...all.flatMap((context) => context.measures))

  const problems: Problems = Object.assign({}, platformProblems, ...all.map((context) => context.problems))
  const http = await makeServer({
    ...{ ...config, log, metrics, limits, origins },
    ...{ authenticate: contexts.users.authenticate, waitedMs: database.waitedMs },
  })
  await describeApi(http, { problems, publicUrl: config.publicUrl, authenticationRefuses: ['users.invalid-token'] })
  addHealth(http, db, metrics)
  for (const context of all) await http.register(context.routes, { prefix: '/v1' })
  await http.register(operationRoutes(platform), { prefix: '/v1' })
  await http.register(auditRoutes(platform), { prefix: '/v1' })
  await http.register(contexts.users.rootRoutes)
  if (mail.mailbox && !config.production) await http.register(mailboxPages(mail.mailbox))
  await addPages(http, {
    production: config.production,
    problems,
    publicUrl: config.publicUrl,
    mailbox: mail.mailbox !== undefined,
    firstProduct: contexts.catalog.firstProduct,
  })

  http.addHook('onReady', async () => redis?.connect())
  http.addHook('onListen', keys.start)

  const tasks = {
    'platform.forget': async () =>
      void (await Promise.all([forgetOldReceipts(db, clock()), forgetOldEvents(db, clock())])),
    ...Object.assign({}, ...all.map((context) => context.tasks)),
  }
  const runAll = async () => {
    for (const run of runs) while ((await run()) === true);
  }
  let jobs: { stop(): Promise<void> } | undefined
  let listener: { stop(): Promise<void> } | undefined
  return {
    config,
    log,
    http,
    database,
    perform,
    limits,
    encryption,
    contexts,
    consumers,
    settle: async () => {
      await runAll()
      while ((await events.drain()) > 0) await runAll()
    },
    runJobs: () => runDueJobs({ url: options.databaseUrl, tasks, log }),
    startWork: async () => {
      working = true
      await keys.start()
      for (const one of pumps) one.start()
      listener = listenForEvents(options.databaseUrl, relay.wake, log)
      jobs = await startJobs({
        url: options.databaseUrl,
        log,
        tasks,
        cron: [{ task: 'platform.forget', match: '17 * * * *' }, ...all.flatMap((context) => context.cron)],
      })
    },
    close: async () => {
      await http.close()
      await listener?.stop()
      await jobs?.stop()
      await Promise.all(pumps.map((one) => one.stop()))
      await others.stop()
      await mail.mailer.close()
      redis?.close()
      await keys.stop()
      await database.close()
    },
  }
}

/** The contexts, in dependency order: later ones call earlier ones' public functions. */
async function buildContexts(platform: Platform, config: Config) {
  const usersContext = users(platform, config, {
    personalDataElsewhere: () => [ordersContext.personalData, auditPersonalData(platform.encryption)],
  })
  const catalogContext = catalog(platform, config)
  const paymentsContext = await payments(platform, config, { refundsByLines: () => ordersContext.refundsByLines })
  const ordersContext: OrdersContext = orders(platform, config, {
    catalog: catalogContext,
    payments: paymentsContext,
    users: usersContext,
  })
  return { users: usersContext, catalog: catalogContext, payments: paymentsContext, orders: ordersContext }
}
