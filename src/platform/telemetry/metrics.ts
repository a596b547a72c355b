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
}

export type Metrics = HttpMetrics & {
  readonly add: (...measures: readonly Measure[]) => void
  /** All metrics in Prometheus text format. */
  readonly text: () => Promise<string>
  readonly contentType: string
}

/** Makes the process's metrics: latency per route, Node's own, and whatever measures are added. */
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
  return {
    observe: (method, route, status, elapsedMs) => latency.observe({ method, route, status }, elapsedMs / 1000),
    add: (...measures) => {
      for (const measure of measures) addMeasure(registry, measure)
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
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
