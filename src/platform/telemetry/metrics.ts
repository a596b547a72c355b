import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** A number that is asked for when somebody scrapes: what it counts, and how to find out. */
export type Measure = {
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** What only grows while the process lives is a counter; a gauge unless said. */
  readonly kind?: 'counter' | 'gauge'
  /** Values with their labels; called once per scrape. */
  readonly read: () => Promise<readonly { readonly labels?: Record<string, string>; readonly value: number }[]>
}

export type HttpMetrics = {
  readonly observe: (method: string, route: string, status: number, elapsedMs: number) => void
  /** Counts a request that was turned away because there was too much to do. */
  readonly shed: () => void
}

/** How calls to servers outside go. */
export type CallMetrics = {
  readonly call: (server: string, result: string, elapsedMs: number) => void
  readonly breaker: (server: string, state: (typeof BREAKER_STATES)[number]) => void
}
const BREAKER_STATES = ['closed', 'half-open', 'open'] as const

export type Metrics = HttpMetrics & {
  readonly calls: CallMetrics
  readonly add: (...measures: readonly Measure[]) => void
  /** All metrics in Prometheus text format. */
  readonly text: () => Promise<string>
  readonly contentType: string
}

/** Makes the process's metrics: latency per route and per outside server, Node's own, and whatever measures are added. */
export function makeMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const latency = new Histogram({
    name: 'stoa_http_request_seconds',
    help: 'Time from request to the last byte of its answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  })
  const shed = new Counter({
    name: 'stoa_http_shed_total',
    help: 'Requests turned away because others waited too long for a connection to the database',
    registers: [registry],
  })
  return {
    shed: () => shed.inc(),
    observe: (method, route, status, elapsedMs) => latency.observe({ method, route, status }, elapsedMs / 1000),
    calls: callMetrics(registry),
    add: (...measures) => {
      for (const measure of measures) addMeasure(registry, measure)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

function callMetrics(registry: Registry): CallMetrics {
  const latency = new Histogram({
    name: 'stoa_outside_call_seconds',
    help: 'Time of a call to a server outside, its repeats included, by what it came to',
    labelNames: ['server', 'result'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  })
  const breaker = new Gauge({
    name: 'stoa_outside_breaker',
    help: 'The state of the circuit breaker of a server outside: 1 for the present one',
    labelNames: ['server', 'state'],
    registers: [registry],
  })
  return {
    call: (server, result, elapsedMs) => latency.observe({ server, result }, elapsedMs / 1000),
    breaker: (server, present) => {
      for (const state of BREAKER_STATES) breaker.set({ server, state }, state === present ? 1 : 0)
    },
  }
}

function addMeasure(registry: Registry, { name, help, labels = [], kind = 'gauge', read }: Measure): void {
  const common = { name, help, labelNames: [...labels], registers: [registry] }
  if (kind === 'counter')
    new Counter({
      ...common,
      async collect() {
        this.reset()
        for (const { labels: values = {}, value } of await read()) this.inc(values, value)
      },
    })
  else
    new Gauge({
      ...common,
      async collect() {
        this.reset()
        for (const { labels: values = {}, value } of await read()) this.set(values, value)
      },
    })
}
