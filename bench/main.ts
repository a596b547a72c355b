/** `make bench`: speed and size of one service process, as ratios to ceilings of the same run. `--json` for machines. */
import { setTimeout as pause } from 'node:timers/promises'
import pc from 'picocolors'
import { withClients } from './client.ts'
import { type Journeys, measureJourneys } from './journeys.ts'
import { residentMb } from './numbers.ts'
import { measureOrders } from './orders.ts'
import { measureAllReads } from './reads.ts'
import { isMet, type Measured, machineWith, report } from './report.ts'
import { type BenchShop, openBenchShop } from './shop.ts'

const BUYERS = 32
const WARM_SECONDS = 3
const SECONDS = 8
const ROUNDS = 2
const REST_MS = 3_000
const GIVE_UP_MS = 300_000

const began = performance.now()
const say = (line: string) =>
  console.error(pc.dim(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${line}`))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

setTimeout(() => process.exit(1), GIVE_UP_MS).unref()

const shop = await openBenchShop(say)
try {
  const measured = await measureAll(shop)
  const machine = machineWith(shop.postgres)
  const asJson = () =>
    JSON.stringify({ machine, measured: measured.map((one) => ({ ...one, met: isMet(one) })) }, null, 2)
  console.log(process.argv.includes('--json') ? asJson() : report(machine, measured))
} finally {
  await shop.stop()
}

async function measureAll(shop: BenchShop): Promise<Measured[]> {
  const variantIds = await readVariantIds(shop.service.url)
  const reads = await measureAllReads(shop.service, say)
  const orders = await measureOrders(shop, variantIds, say)
  const journeys = await compareJourneys(shop, variantIds)
  const resident = residentMb(shop.service.pid)
  return [
    ...[...reads, orders, ...journeys],
    { name: 'resident memory after it', value: resident, unit: 'MB', most: { value: 260 } },
    { name: 'start to first answer', value: shop.startMs, unit: 'ms', most: { value: 1_500 } },
    await auditAll(shop),
  ]
}

async function compareJourneys({ service, twin }: BenchShop, variantIds: readonly string[]): Promise<Measured[]> {
  const rounds: { ours: Journeys; theirs: Journeys }[] = []
  for (const { url } of [service, twin]) await measureJourneys(url, variantIds, BUYERS, WARM_SECONDS)
  for (let round = 0; round < ROUNDS; round += 1) {
    say('complete journeys: the service and its twin, in turn')
    const ours = await measureJourneys(service.url, variantIds, BUYERS, SECONDS)
    rounds.push({ ours, theirs: await measureJourneys(twin.url, variantIds, BUYERS, SECONDS) })
  }
  const ours = faster(rounds.map((round) => round.ours))
  const theirs = faster(rounds.map((round) => round.theirs))
  const failed = rounds.reduce((sum, round) => sum + round.ours.failed + round.theirs.failed, 0)
  return [
    {
      ...{ name: 'complete journeys', value: ours.perSecond, unit: '/s', ceiling: theirs.perSecond },
      ...{ least: { value: 200, ratio: 0.6 }, note: failed > 0 ? `${failed} failed` : '' },
    },
    { name: '  p50', value: ours.p50Ms, unit: 'ms', note: `twin ${Math.round(theirs.p50Ms)} ms` },
    { name: '  p95', value: ours.p95Ms, unit: 'ms', note: `twin ${Math.round(theirs.p95Ms)} ms` },
    { name: '  p99', value: ours.p99Ms, unit: 'ms', note: `twin ${Math.round(theirs.p99Ms)} ms` },
  ]
}

function faster(all: readonly Journeys[]): Journeys {
  return all.reduce((a, b) => (a.perSecond > b.perSecond ? a : b))
}

function readVariantIds(url: string): Promise<string[]> {
  return withClients(url, 1, async ([client]) => {
    const ids: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const path: string = `/v1/products?limit=100${cursor && `&cursor=${cursor}`}`
      const { body } = await client!.send('GET', path)
      for (const product of body.data) for (const variant of product.variants) ids.push(variant.id)
      cursor = body.nextCursor
    }
    return ids
  })
}

/** Whether the books are right after all of this. */
async function auditAll({ stoa }: BenchShop): Promise<Measured> {
  say('the audit')
  await pause(REST_MS)
  const { code, output } = await stoa('audit', '--all')
  if (code !== 0) console.error(output)
  const broken = Number(/(\d+) invariants are broken/.exec(output)?.[1] ?? (code === 0 ? 0 : 1))
  return { name: 'stoa audit --all, after it', value: broken, unit: 'violations', most: { value: 0 } }
}
