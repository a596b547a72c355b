import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { ConfigError } from '../../src/environment.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'stoa-config-'))
afterAll(() => rmSync(dataDir, { recursive: true }))

const key = (bytes = 32) => randomBytes(bytes).toString('base64')
const signingKey = () =>
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')

/** Everything that production asks for. */
const production = {
  NODE_ENV: 'production',
  STOA_DATA_DIR: dataDir,
  DATABASE_URL: 'postgres://stoa_app@db.internal/stoa',
  PUBLIC_URL: 'https://shop.example',
  ENCRYPTION_KEYS: `1:${key()}`,
  TOKEN_SECRETS: key(),
  SIGNING_KEYS: signingKey(),
  PAYMENT_PROVIDERS: 'sandbox',
  SMTP_URL: 'smtps://shop:secret@mail.internal',
  SANDBOX_SECRET_KEY: 'sk_sandbox_0123456789',
  SANDBOX_WEBHOOK_SECRET: 'whsec_0123456789abcdef',
}
const complaintOf = (env: Record<string, string>): string => {
  try {
    readConfig(env)
    return 'none'
  } catch (error) {
    return error instanceof ConfigError ? error.message : `not a ConfigError: ${error}`
  }
}

test('production starts with everything that it asks for, and makes no key of its own', () => {
  expect(readConfig(production)).toMatchObject({ production: true, host: '0.0.0.0', sampleCatalogue: false })
  expect(Object.isFrozen(readConfig(production))).toBe(true)
})

test.each([
  ['DATABASE_URL', 'the embedded database is for development'],
  ['PUBLIC_URL', 'tokens are issued in its name'],
  ['ENCRYPTION_KEYS', 'must be set'],
  ['TOKEN_SECRETS', 'must be set'],
  ['SIGNING_KEYS', 'must be set'],
  ['SMTP_URL', 'or SENDGRID_API_KEY must be set'],
  ['PAYMENT_PROVIDERS', 'the sandbox only when named'],
  ['SANDBOX_SECRET_KEY', 'must be set'],
  ['SANDBOX_WEBHOOK_SECRET', 'must be set'],
])('production without %s does not start', (name, says) => {
  const complaint = complaintOf({ ...production, [name]: '' })
  expect(complaint).toMatch(new RegExp(`^${name} .*${says}`))
  expect(complaint).not.toContain('\n')
})

test.each([
  ['STAFF_MFA', 'optional'],
  ['PASSWORD_MIN_LENGTH', '7'],
  ['STAFF_PASSWORD_MIN_LENGTH', '14'],
  ['STAFF_PASSWORD_MIN_LENGTH', '65'],
  ['RATE_LIMITS', 'off'],
  ['REDIS_URL', 'http://localhost'],
  ['MAIL_FROM', 'Eve <eve@shop.example>\r\nBcc: all'],
  ['STOREFRONT_URL', 'shop.example'],
  ['ENCRYPTION_KEYS', `1:${key(31)}`],
  ['ENCRYPTION_KEYS', `256:${key()}`],
  ['ENCRYPTION_KEYS', `1:${key()},1:${key()}`],
  ['TOKEN_SECRETS', key(31)],
  ['TOKEN_SECRETS', `${key()}, not base64`],
  ['SIGNING_KEYS', key()],
  ['SANDBOX_WEBHOOK_SECRET', 'too short'],
  ['PAYMENT_PROVIDERS', 'sandbox,stripes'],
  ['DATABASE_URL', 'mysql://localhost/stoa'],
  ['PUBLIC_URL', 'shop.example'],
  ['CORS_ORIGINS', '*'],
  ['CORS_ORIGINS', 'null'],
  ['CORS_ORIGINS', 'https://shop.example/'],
  ['CORS_ORIGINS', 'https://*.shop.example'],
  ['CORS_ORIGINS', 'shop.example'],
  ['NODE_ENV', 'prod'],
  ['PORT', '65536'],
  ['PORT', 'http'],
  ['DATABASE_CONNECTIONS', '1'],
  ['KEY_REFRESH_MS', '10'],
  ['HOLD_MINUTES', '1.5'],
  ['LOG_LEVEL', 'verbose'],
  ['CURRENCIES', 'USD,XXQ'],
  ['ORDER_NUMBER_PREFIX', 'Nº '],
  ['OWNER_EMAIL', 'nobody'],
  ['SAMPLE_CATALOGUE', 'yes'],
])('%s=%s stops the start with one line that names it', (name, value) => {
  const complaint = complaintOf({ ...production, [name]: value })
  expect(complaint).toMatch(new RegExp(`^${name} `))
  expect(complaint).not.toContain('\n')
})

const stripe = { STRIPE_SECRET_KEY: 'sk_live_1', STRIPE_WEBHOOK_SECRET: 'whsec_1' }

test('both of its secrets switch Stripe on, beside what is named', () => {
  expect(readConfig({ ...production, ...stripe, PAYMENT_PROVIDERS: '' })).toMatchObject({
    paymentProviders: ['stripe'],
    stripe: { secretKey: 'sk_live_1', webhookSecrets: ['whsec_1'], publishableKey: undefined, url: undefined },
  })
  expect(readConfig({ ...production, ...stripe }).paymentProviders).toEqual(['sandbox', 'stripe'])
  expect(readConfig({ ...production, ...stripe, PAYMENT_PROVIDERS: 'stripe,sandbox' }).paymentProviders).toEqual([
    'stripe',
    'sandbox',
  ])
  const rotating = { ...production, ...stripe, STRIPE_WEBHOOK_SECRET: 'whsec_new, whsec_old' }
  expect(readConfig(rotating).stripe?.webhookSecrets).toEqual(['whsec_new', 'whsec_old'])
  const staging = { ...production, ...stripe, STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_TEST_MODE: 'true' }
  expect(readConfig(staging).stripe?.secretKey).toBe('sk_test_1')
  expect(readConfig(production).stripe).toBeUndefined()
})

test.each([
  ['STRIPE_SECRET_KEY', { STRIPE_SECRET_KEY: '' }],
  ['STRIPE_SECRET_KEY', { STRIPE_SECRET_KEY: 'hunter2hunter2' }],
  ['STRIPE_SECRET_KEY', { STRIPE_SECRET_KEY: 'sk_test_hunter2' }],
  ['STRIPE_SECRET_KEY', { STRIPE_SECRET_KEY: '', STRIPE_WEBHOOK_SECRET: '', PAYMENT_PROVIDERS: 'stripe' }],
  ['STRIPE_WEBHOOK_SECRET', { STRIPE_WEBHOOK_SECRET: '' }],
  ['STRIPE_WEBHOOK_SECRET', { STRIPE_WEBHOOK_SECRET: 'whsec_1,hunter2hunter2' }],
  ['STRIPE_PUBLISHABLE_KEY', { STRIPE_PUBLISHABLE_KEY: 'sk_live_hunter2' }],
  ['STRIPE_PUBLISHABLE_KEY', { STRIPE_PUBLISHABLE_KEY: 'pk_test_1' }],
  ['STRIPE_TEST_MODE', { STRIPE_TEST_MODE: 'yes' }],
  ['STRIPE_URL', { STRIPE_URL: 'http://localhost:1' }],
] as const)('%s is complained of for %o', (name, more) => {
  const complaint = complaintOf({ ...production, ...stripe, ...more })
  expect(complaint).toMatch(new RegExp(`^${name} `))
  expect(complaint).not.toMatch(/\n|hunter2/)
})

test('a complaint about a secret does not tell it', () => {
  for (const name of ['ENCRYPTION_KEYS', 'TOKEN_SECRETS', 'SIGNING_KEYS', 'SANDBOX_SECRET_KEY'])
    expect(complaintOf({ ...production, [name]: 'hunter2hunter2' })).not.toContain('hunter2')
})

test('outside production keys are made once and kept', () => {
  const development = { STOA_DATA_DIR: dataDir }
  const [first, second] = [readConfig(development), readConfig(development)]
  expect(first.production).toBe(false)
  expect(first.signingKeys[0]?.kid).toBe(second.signingKeys[0]?.kid)
  expect(first.sandboxSecretKey).toBe(second.sandboxSecretKey)
})
