import { openConnection } from './connection.ts'
import { cpuSeconds } from './numbers.ts'

export type Load = {
  readonly perSecond: number
  /** How much of one core the server was computing for. */
  readonly serverBusy: number
}

const CONNECTIONS = 32

/** GETs without pause for so long over 32 connections. Fails on an answer that is not a 200. */
export async function measureReads(
  server: { readonly url: string; readonly pid: number },
  pathOf: (i: number) => string,
  seconds: number,
): Promise<Load> {
  const { host } = new URL(server.url)
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => openConnection(server.url)))
  const start = performance.now()
  const cpuBefore = cpuSeconds(server.pid)
  const until = start + seconds * 1000
  let answered = 0
  await Promise.all(
    connections.map(async ({ ask, close }) => {
      while (performance.now() < until) {
        const path = pathOf(answered)
        answered += 1
        const { status } = await ask(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
        if (status !== 200) throw new Error(`GET ${path}: ${status}`)
      }
      close()
    }),
  )
  const elapsed = (performance.now() - start) / 1000
  return { perSecond: answered / elapsed, serverBusy: (cpuSeconds(server.pid) - cpuBefore) / elapsed }
}
