import type { KeyObject } from 'node:crypto'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isCurrency } from '#kernel/money.ts'
import { stateFolder } from '#platform/db/embedded-binaries.ts'
import {
  parseEncryptionKeys,
  parseSecret,
  parseSigningKeys,
  parseTokenSecrets,
  readOrMakeKeys,
  type SigningKey,
} from '#platform/security/keys.ts'
import type { MasterKey } from '#platform/security/master-keys.ts'
import { ConfigError, definedIn, type Environment, type Reader, reader, told } from './environment.ts'

/** The folder of the checkout: migrations, the sample catalogue and `.stoa/` are found from here. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..')

export type Config = Readonly<{
  production: boolean
  host: string
  port: number
  /** Where people reach the shop, without a slash at the end: links in answers and mails start with it. */
  publicUrl: string
  /** Outside PostgreSQL; undefined means the embedded one. */
  databaseUrl: string | undefined
  /** The role that migrates, when it is another one than the service's. */
  databaseOwnerUrl: string | undefined
  databaseConnections: number
  /** Keys, the embedded database and the sandbox's journal live here. */
  dataDir: string
  logLevel: string
  /** Where shoppers are, without a slash at the end: links in mails to them start with it. */
  storefrontUrl: string
  corsOrigins: readonly string[]
  trustedProxies: readonly string[]
  bodyLimitBytes: number
  importLimitBytes: number
  requestTimeoutMs: number
  drainMs: number
  encryptionKeys: readonly MasterKey[]
  /** What backups are locked with, as it stands there; empty where none is given. */
  backupKey: string
  /** How often a process looks for new data keys. */
  keyRefreshMs: number
  tokenSecrets: readonly KeyObject[]
  signingKeys: readonly SigningKey[]
  currencies: readonly string[]
  holdMinutes: number
  orderNumberStart: number
  orderNumberPrefix: string
  /** JSON file with the shop's name, countries, taxes and shipping methods; undefined means the built-in table. */
  storeFile: string | undefined
  paymentProviders: readonly PaymentProviderName[]
  /** How long goods are held for money that comes in by hand. */
  manualHoldDays: number
  paymentTimeoutMs: number
  /** Whether attempts take the money at once, or authorise it until staff capture it. */
  paymentCapture: 'automatic' | 'manual'
  /** Where the sandbox provider runs; undefined means that the service starts one beside itself. */
  sandboxUrl: string | undefined
  sandboxSecretKey: string
  sandboxWebhookSecret: string
  /** Undefined while Stripe is not switched on. */
  stripe: StripeKeys | undefined
  ownerEmail: string
  /** Whether staff need a second factor before any of their routes works. */
  staffMfa: boolean
  rateLimits: boolean
  /** The shortest passwords that are taken, in characters. */
  passwordMinLength: { readonly customer: number; readonly staff: number }
  /** Shared by all processes: exact rate limits. Undefined means that each process counts for itself. */
  redisUrl: string | undefined
  smtpUrl: string | undefined
  sendgridApiKey: string | undefined
  /** Who mails are from: `Shop <shop@example.com>`. */
  mailFrom: string
  sampleCatalogue: boolean
}>

export type PaymentProviderName = 'sandbox' | 'stripe' | 'manual'
const PROVIDERS: readonly PaymentProviderName[] = ['sandbox', 'stripe', 'manual']

export type StripeKeys = Readonly<{
  secretKey: string
  /** What a shop front starts Stripe's script with. */
  publishableKey: string | undefined
  /** All are accepted: two while one is rotated out. */
  webhookSecrets: readonly string[]
  /** Another place than Stripe's own, for tests. */
  url: string | undefined
}>

/**
 * Reads the environment once into one frozen, typed value. Throws a ConfigError for a wrong value. In production it
 * refuses the embedded database, keys that are not given, no way to send mail, staff without a second factor,
 * no rate limits, and the sandbox provider unless it is named.
 * Every variable is described in `.env.example`.
 */
export function readConfig(env: Environment = process.env): Config {
  const read = reader(env)
  const production = read.oneOf('NODE_ENV', ['development', 'test', 'production'], 'development') === 'production'
  const port = read.integer('PORT', 3000, 0, 65_535)
  const dataDir = read.path('STOA_DATA_DIR') ?? stateFolder()
  const databaseUrl = read.url('DATABASE_URL', ['postgres:', 'postgresql:'])
  if (production && !databaseUrl)
    throw new ConfigError('DATABASE_URL must be set in production: the embedded database is for development.')
  if (production && !env.PUBLIC_URL)
    throw new ConfigError(
      'PUBLIC_URL must be set in production: tokens are issued in its name, and links start with it.',
    )
  const keys = production ? env : { ...readOrMakeKeys(dataDir), ...definedIn(env) }
  const stripe = readStripe(read, production)
  const paymentProviders = readProviders(read, production, stripe)
  const staffMfa = read.oneOf('STAFF_MFA', ['required', 'optional'], 'required') === 'required'
  const rateLimits = read.oneOf('RATE_LIMITS', ['on', 'off'], 'on') === 'on'
  if (production && !staffMfa) throw new ConfigError('STAFF_MFA must be required in production.')
  if (production && !rateLimits) throw new ConfigError('RATE_LIMITS must be on in production.')
  const smtpUrl = read.url('SMTP_URL', ['smtp:', 'smtps:'])
  const sendgridApiKey = read.text('SENDGRID_API_KEY', '') || undefined
  if (smtpUrl && sendgridApiKey) throw new ConfigError('SMTP_URL must be empty when SENDGRID_API_KEY is set.')
  if (production && !smtpUrl && !sendgridApiKey)
    throw new ConfigError('SMTP_URL or SENDGRID_API_KEY must be set in production: accounts are verified by mail.')
  const sandbox = paymentProviders.includes('sandbox')
  const currencies = read.list('CURRENCIES', ['USD', 'EUR', 'GBP', 'JPY'])
  const unknown = currencies.find((currency) => !isCurrency(currency))
  if (unknown || currencies.length === 0)
    throw new ConfigError(`CURRENCIES must be a list of ISO 4217 codes, not ${unknown ?? 'empty'}.`)

  const publicUrl = read.url('PUBLIC_URL', ['http:', 'https:'])?.replace(/\/+$/, '') ?? `http://localhost:${port}`
  return Object.freeze({
    production,
    host: read.text('HOST', production ? '0.0.0.0' : '127.0.0.1'),
    port,
    publicUrl,
    storefrontUrl: read.url('STOREFRONT_URL', ['http:', 'https:'])?.replace(/\/+$/, '') ?? publicUrl,
    databaseUrl,
    databaseOwnerUrl: read.url('DATABASE_OWNER_URL', ['postgres:', 'postgresql:']),
    databaseConnections: read.integer('DATABASE_CONNECTIONS', 20, 2, 500),
    dataDir,
    logLevel: read.oneOf(
      'LOG_LEVEL',
      ['trace', 'debug', 'info', 'warn', 'error', 'silent'],
      production ? 'info' : 'warn',
    ),
    corsOrigins: read.list('CORS_ORIGINS', []).map(originOf),
    trustedProxies: read.list('TRUSTED_PROXIES', []),
    bodyLimitBytes: read.integer('BODY_LIMIT_BYTES', 1_048_576, 1_024, 104_857_600),
    importLimitBytes: read.integer('IMPORT_LIMIT_BYTES', 33_554_432, 1_024, 104_857_600),
    requestTimeoutMs: read.integer('REQUEST_TIMEOUT_MS', 30_000, 1_000, 600_000),
    drainMs: read.integer('DRAIN_MS', production ? 5_000 : 500, 0, 120_000),
    encryptionKeys: told(() => parseEncryptionKeys(keys.ENCRYPTION_KEYS)),
    backupKey: read.matching('BACKUP_KEY', /^(age1[0-9a-z]+|AGE-SECRET-KEY-[0-9A-Z-]+)?$/, ''),
    keyRefreshMs: read.integer('KEY_REFRESH_MS', 5_000, 50, 60_000),
    tokenSecrets: told(() => parseTokenSecrets(keys.TOKEN_SECRETS)),
    signingKeys: told(() => parseSigningKeys(keys.SIGNING_KEYS)),
    currencies,
    holdMinutes: read.integer('HOLD_MINUTES', 15, 1, 60),
    orderNumberStart: read.integer('ORDER_NUMBER_START', 1001, 1, 1_000_000_000),
    orderNumberPrefix: read.matching('ORDER_NUMBER_PREFIX', /^[A-Za-z0-9-]{0,10}$/, ''),
    storeFile: read.path('STORE_FILE'),
    paymentProviders,
    paymentCapture: read.oneOf('PAYMENT_CAPTURE', ['automatic', 'manual'], 'automatic') as Config['paymentCapture'],
    manualHoldDays: read.integer('MANUAL_HOLD_DAYS', 7, 1, 60),
    paymentTimeoutMs: read.integer('PAYMENT_TIMEOUT_MS', 10_000, 100, 60_000),
    sandboxUrl: read.url('SANDBOX_URL', ['http:', 'https:']),
    sandboxSecretKey: sandbox ? told(() => parseSecret(keys.SANDBOX_SECRET_KEY, 'SANDBOX_SECRET_KEY')) : '',
    sandboxWebhookSecret: sandbox ? told(() => parseSecret(keys.SANDBOX_WEBHOOK_SECRET, 'SANDBOX_WEBHOOK_SECRET')) : '',
    stripe,
    ownerEmail: read.matching('OWNER_EMAIL', /^[^\s@]+@[^\s@]+$/, 'owner@stoa.example'),
    staffMfa,
    rateLimits,
    passwordMinLength: {
      customer: read.integer('PASSWORD_MIN_LENGTH', 8, 8, 64),
      staff: read.integer('STAFF_PASSWORD_MIN_LENGTH', 15, 15, 64),
    },
    redisUrl: read.url('REDIS_URL', ['redis:', 'rediss:']),
    smtpUrl,
    sendgridApiKey,
    mailFrom: read.matching(
      'MAIL_FROM',
      /^([^<>"\r\n]+ <[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/,
      'Stoa <shop@stoa.example>',
    ),
    sampleCatalogue: read.oneOf('SAMPLE_CATALOGUE', ['true', 'false'], production ? 'false' : 'true') === 'true',
  })
}

function readProviders(read: Reader, production: boolean, stripe: StripeKeys | undefined): PaymentProviderName[] {
  const named = read.list('PAYMENT_PROVIDERS', production ? [] : ['sandbox'])
  const unknown = named.find((name) => !PROVIDERS.includes(name as PaymentProviderName))
  if (unknown) throw new ConfigError(`PAYMENT_PROVIDERS must be a list of ${PROVIDERS.join(', ')}, not ${unknown}.`)
  if (named.includes('stripe') && !stripe)
    throw new ConfigError('STRIPE_SECRET_KEY must be set when PAYMENT_PROVIDERS names stripe.')
  const providers = new Set([...named, ...(stripe ? ['stripe'] : [])]) as ReadonlySet<PaymentProviderName>
  if (providers.size === 0)
    throw new ConfigError(
      'PAYMENT_PROVIDERS must name at least one provider: in production the sandbox only when named.',
    )
  return [...providers]
}

/** Stripe's keys, both or neither, and of one mode: test keys take no money, so production wants to be told. */
function readStripe(read: Reader, production: boolean): StripeKeys | undefined {
  const secretKey = read.matching('STRIPE_SECRET_KEY', /^((sk|rk)_(test|live)_\w+)?$/, '')
  const webhookSecrets = read.list('STRIPE_WEBHOOK_SECRET', [])
  const publishableKey = read.matching('STRIPE_PUBLISHABLE_KEY', /^(pk_(test|live)_\w+)?$/, '') || undefined
  const url = read.url('STRIPE_URL', ['http:', 'https:'])
  const testMode = read.oneOf('STRIPE_TEST_MODE', ['true', 'false'], 'false') === 'true'
  if (production && url) throw new ConfigError('STRIPE_URL must be empty in production.')
  if (!secretKey && webhookSecrets.length === 0) return undefined
  if (!secretKey) throw new ConfigError('STRIPE_SECRET_KEY must be set when STRIPE_WEBHOOK_SECRET is.')
  if (webhookSecrets.length === 0) throw new ConfigError('STRIPE_WEBHOOK_SECRET must be set when STRIPE_SECRET_KEY is.')
  if (webhookSecrets.some((secret) => !/^whsec_\S+$/.test(secret)))
    throw new ConfigError(
      'STRIPE_WEBHOOK_SECRET must be one secret or more that start with whsec_, separated by commas.',
    )
  const isTest = secretKey.includes('_test_')
  if (production && isTest && !testMode)
    throw new ConfigError('STRIPE_SECRET_KEY must be a live key in production, unless STRIPE_TEST_MODE is true.')
  if (publishableKey && publishableKey.includes('_test_') !== isTest)
    throw new ConfigError('STRIPE_PUBLISHABLE_KEY must be of the same mode as STRIPE_SECRET_KEY, test or live.')
  return { secretKey, publishableKey, webhookSecrets, url }
}

function originOf(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text) && new URL(text).origin === text && !text.includes('*'))
    return text
  throw new ConfigError(`CORS_ORIGINS must be a list of origins such as https://shop.example, not ${text}.`)
}
