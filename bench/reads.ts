import { join } from 'node:path'
import { freePort } from '../test/kit/free-port.ts'
import { startProcess } from '../test/kit/processes.ts'
import { searchPath } from './catalogue.ts'
import { type Load, measureReads } from './load.ts'
import type { Measured } from './report.ts'
import type { Server } from './shop.ts'

const BARE = join(import.meta.dirname, 'bare.ts')
const WARM_SECONDS = 1
const SECONDS = 3
const ROUNDS = 2

/** Reads per second, and what bare node:http does with the same bytes, in turn; the better of two rounds each. */
export async function measureAllReads(service: Server, say: (line: string) => void): Promise<Measured[]> {
  let searches = 0
  const reads = [
    { name: 'product page', path: () => '/v1/products/thing-500', least: { ratio: 0.6 } },
    { name: 'product list, 20 of 1,000', path: () => '/v1/products?limit=20', least: { ratio: 0.5 } },
    { name: 'search, no two alike', path: () => searchPath(searches++), least: { value: 1_500 } },
  ]
  const measured: Measured[] = []
  for (const { name, path, least } of reads) {
    say(`${name}: the service and bare node:http, in turn`)
    const [ours, bare] = await compare(service, path)
    const note = `busy ${percent(ours.serverBusy)} of a core, bare ${percent(bare.serverBusy)}`
    measured.push({ name, value: ours.perSecond, unit: '/s', ceiling: bare.perSecond, least, note })
  }
  return measured
}

const percent = (part: number) => `${Math.round(part * 100)} %`

async function compare(service: Server, path: () => string): Promise<[ours: Load, bare: Load]> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const bare = await startProcess(url, [BARE, String(port), `${service.url}${path()}`])
  const rounds: [Load, Load][] = []
  for (const server of [service, { url, pid: bare.pid }]) await measureReads(server, path, WARM_SECONDS)
  for (let round = 0; round < ROUNDS; round += 1)
    rounds.push([await measureReads(service, path, SECONDS), await measureReads({ url, pid: bare.pid }, path, SECONDS)])
  await bare.end('SIGTERM')
  return [faster(rounds.map(([ours]) => ours)), faster(rounds.map(([, theirs]) => theirs))]
}

const faster = (loads: readonly Load[]): Load => loads.reduce((a, b) => (a.perSecond > b.perSecond ? a : b))
