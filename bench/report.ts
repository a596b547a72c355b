import { cpus } from 'node:os'
import pc from 'picocolors'
import { table } from '../src/cli/table.ts'

/** One number of the run, with its ceiling where it has one, and what it is to reach. */
export type Measured = {
  readonly name: string
  readonly value: number
  readonly unit: '/s' | 'ms' | 'MB' | 'violations'
  readonly ceiling?: number
  readonly least?: { readonly value?: number; readonly ratio?: number }
  readonly most?: { readonly value: number }
  readonly note?: string
}

export type Machine = { readonly cores: number; readonly cpu: string; readonly node: string; readonly postgres: string }

export const machineWith = (postgres: string): Machine => ({
  cores: cpus().length,
  cpu: cpus()[0]?.model.trim() ?? 'unknown',
  node: process.versions.node,
  postgres,
})

const ratioOf = ({ value, ceiling }: Measured): number | undefined => ceiling && value / ceiling

/** Whether it reached what it is to reach; undefined when nothing is asked of it. */
export function isMet(measured: Measured): boolean | undefined {
  const { value, least, most } = measured
  if (!least && !most) return undefined
  const ratio = ratioOf(measured) ?? 0
  return value >= (least?.value ?? 0) && ratio >= (least?.ratio ?? 0) && value <= (most?.value ?? Infinity)
}

/** The table for people. */
export function report(machine: Machine, all: readonly Measured[]): string {
  const header = ['', 'measured', 'ceiling', 'ratio', 'aim', '', ''].map((title) => pc.bold(title))
  const rows = all.map((measured) => {
    const { name, value, unit, ceiling, note = '' } = measured
    const met = isMet(measured)
    return [
      name,
      amount(value, unit),
      ceiling === undefined ? '' : amount(ceiling, unit),
      ratioOf(measured)?.toFixed(2) ?? '',
      aim(measured),
      met === undefined ? '' : met ? pc.green('met') : pc.red('missed'),
      pc.dim(note),
    ]
  })
  return [
    `${machine.cores} cores of ${machine.cpu}, Node ${machine.node}, PostgreSQL ${machine.postgres}`,
    '',
    table([header, ...rows]),
    '',
    pc.dim(NOTES),
  ].join('\n')
}

const NOTES = `Service, PostgreSQL, payment sandbox and the generator of the load share the machine; 32 clients everywhere.
Ceilings, measured in the same run and in turn: of reads, a node:http server that answers the same bytes; of orders, the
same SQL sent by bare pg; of journeys, a hand-written twin on Fastify and pg alone. The better of two rounds each.
A journey: cart, two items, address, order, payment, webhook, GET order until it reads paid; only then it counts.`

function aim({ unit, least, most }: Measured): string {
  const aims = [
    ...(least?.value === undefined ? [] : [`≥ ${amount(least.value, unit)}`]),
    ...(least?.ratio === undefined ? [] : [`≥ ${least.ratio} of the ceiling`]),
    ...(most === undefined ? [] : [`≤ ${amount(most.value, unit)}`]),
  ]
  return aims.join(', ')
}

const amount = (value: number, unit: Measured['unit']): string =>
  `${Math.round(value).toLocaleString('en')}${unit === '/s' ? unit : ` ${unit}`}`
