import { Command } from 'commander'
import pc from 'picocolors'
import type { App } from '../app.ts'
import { audit, type Finding } from '../audit/audit.ts'
import { withShop } from './connect.ts'
import { table } from './table.ts'

const SHOWN = 5

export const command = new Command('audit')
  .description('hold the books against every invariant; exit 1 on a violation')
  .option('--all', 'also what is younger than 30 s: for a shop that has come to rest')
  .option('--json', 'the findings as JSON')
  .action((options: { all?: boolean; json?: boolean }) =>
    withShop(async (app) => {
      const findings = await auditShop(app, options.all ?? false)
      console.log(options.json ? JSON.stringify(findings, null, 2) : report(findings))
      if (findings.some((finding) => finding.violations.length > 0)) process.exitCode = 1
    }),
  )

/** Every oracle that applies: those of the database, and O5, which asks the payment provider. */
export async function auditShop(app: App, all: boolean, now = new Date()): Promise<Finding[]> {
  const findings = await audit(app.database.db, { consumers: app.consumers, now, all })
  const start = performance.now()
  const violations = await app.contexts.payments.compareWithProviders()
  const o5 = {
    id: 'O5',
    claim: "Captured and refunded totals are the providers'",
    violations,
    elapsedMs: Math.round(performance.now() - start),
  }
  const place = findings.findIndex(({ id }) => Number(id.slice(1)) > 5)
  return findings.toSpliced(place, 0, o5)
}

/** The findings as an aligned table, each violation below its invariant. */
export function report(findings: readonly Finding[]): string {
  const rows = findings.map(({ id, claim, violations, elapsedMs }) => [
    id,
    claim,
    violations.length === 0 ? pc.green('holds') : pc.red(`${violations.length} violations`),
    elapsedMs,
  ])
  const broken = findings.filter(({ violations }) => violations.length > 0)
  const details = broken.flatMap(({ id, violations }) => [
    ...violations.slice(0, SHOWN).map(({ subject, detail }) => pc.red(`${id}  ${subject}: ${detail}`)),
    ...(violations.length > SHOWN ? [pc.red(`${id}  and ${violations.length - SHOWN} more`)] : []),
  ])
  const verdict =
    broken.length === 0 ? pc.green('Every invariant holds.') : pc.red(`${broken.length} invariants are broken.`)
  return [table([['', pc.bold('invariant'), pc.bold('result'), pc.bold('ms')], ...rows]), ...details, verdict].join(
    '\n',
  )
}
