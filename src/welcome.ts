import pc from 'picocolors'
import type { App } from './app.ts'
import type { Config } from './config.ts'
import type { Owner } from './first-run.ts'

export type Started = {
  /** Where the database is. */
  readonly place: string
  readonly listen: boolean
  readonly work: boolean
  readonly owner: Owner | undefined
  readonly sandboxUrl: string | undefined
}

/** What a person reads when the shop is up: where everything is, and what to type next. */
export async function welcome({ config, contexts }: App, started: Started): Promise<string> {
  const { owner, sandboxUrl } = started
  const product = await contexts.catalog.firstProduct()
  const rows: [string, string | undefined][] = started.listen
    ? [
        ['Shop', config.publicUrl],
        ['Docs', `${config.publicUrl}/docs`],
        ['Products', `${product?.count ?? 0}, ${config.publicUrl}/v1/products`],
        ['Payments', sandboxUrl && `sandbox at ${sandboxUrl}, takes no money`],
        ['Mail', mailOf(config)],
        ['Database', started.place],
        ['Work', started.work ? 'in this process' : 'left to `stoa worker`'],
        ['Owner', owner && `${owner.email}  password ${pc.bold(owner.password)}  (shown once)`],
        [
          '',
          owner && config.staffMfa
            ? 'enrols a second factor first: POST /v1/auth/mfa/totp, then …/confirmation'
            : undefined,
        ],
        [
          'Next',
          product && `make buy, in a second terminal${config.port === 3000 ? '' : ` (PORT=${config.port} make buy)`}`,
        ],
      ]
    : [
        ['Worker', 'events, webhooks, jobs, expiry'],
        ['Database', started.place],
      ]
  const uptime = `${process.uptime().toFixed(1)} s`
  const lines = rows.flatMap(([name, text]) => (text ? [`  ${pc.dim(name.padEnd(10))}${text}`] : []))
  return `\n${pc.bold(pc.green('Stoa is ready'))} ${pc.dim(`after ${uptime}; Ctrl-C stops it`)}\n\n${lines.join('\n')}\n`
}

function mailOf({ smtpUrl, sendgridApiKey, publicUrl }: Config): string {
  if (smtpUrl) return `by SMTP, ${new URL(smtpUrl).host}`
  return sendgridApiKey ? 'by SendGrid' : `stays at ${publicUrl}/dev/mailbox`
}
