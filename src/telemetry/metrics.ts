import { type Family, type Histogram as HistogramData, type Sample, textOf } from './metrics-text.ts'

export interface Counter {
  /** `by` is not negative. */
  inc(by?: number): void
}

export interface Gauge {
  set(value: number): void
  add(by: number): void
}

export interface Histogram {
  observe(value: number): void
}

/**
 * The one of these label values, in the order of the names. Look it up once and keep it where requests are many: what it
 * does then is an addition. Values must come from a small set, never from what a stranger sends.
 */
export type Labelled<T> = (...values: string[]) => T

/** Samples of one metric at the moment of a scrape: label values, and the number. */
export type Reading = Iterable<readonly [values: readonly string[], value: number]>

/**
 * Where all numbers about the program are kept until somebody scrapes them (`http.debug.prometheus`). Names follow
 * Prometheus' rules: base units (`_seconds`, `_bytes`), `_total` for what only grows. Metrics that distribution has bear its
 * names (`registry_...`), Berth's own begin with `berth_`; docs/monitoring.md lists every one (a test compares).
 *
 * Asking for a metric again gives the same one: a reload of the configuration counts on.
 */
export interface Metrics {
  counter(name: string, help: string, labels?: readonly string[]): Labelled<Counter>
  gauge(name: string, help: string, labels?: readonly string[]): Labelled<Gauge>
  /** `buckets` are upper bounds, ascending, without infinity. */
  histogram(name: string, help: string, labels?: readonly string[], buckets?: readonly number[]): Labelled<Histogram>
  /**
   * A metric whose samples are made when they are asked for. Asked for again, the new `read` takes the place of the old.
   * One that fails is left out of that scrape, and `onError` hears of it.
   */
  observed(
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Reading | Promise<Reading>,
  ): void
  /** Prometheus' text format 0.0.4. Never rejects. */
  expose(): Promise<string>
}

/** Seconds: those of Prometheus' own clients, which distribution has for its storage. */
export const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

type Kind = Family['kind']

interface Metric {
  kind: Kind
  help: string
  labels: readonly string[]
  buckets: readonly number[]
  children: Map<string, Child>
  read: (() => Reading | Promise<Reading>) | undefined
}

interface Child {
  values: readonly string[]
  /** Of counters and gauges. */
  value: number
  histogram: HistogramData | undefined
  /** What is handed out; the same one each time. */
  handle: Counter | Gauge | Histogram | undefined
}

export function createMetrics(options: { onError?: (name: string, error: unknown) => void } = {}): Metrics {
  const metrics = new Map<string, Metric>()

  /** @throws Error for a name that is no name, or means something else already: a mistake of the program. */
  function define(
    kind: Kind,
    name: string,
    help: string,
    labels: readonly string[],
    buckets: readonly number[],
  ): Metric {
    const known = metrics.get(name)
    if (known === undefined) {
      if (!NAME.test(name) || !labels.every((label) => LABEL.test(label))) throw new Error(`${name} is no metric`)
      const metric: Metric = { kind, help, labels, buckets, children: new Map(), read: undefined }
      metrics.set(name, metric)
      return metric
    }
    if (known.kind !== kind || known.labels.join() !== labels.join() || known.buckets.join() !== buckets.join()) {
      throw new Error(`the metric ${name} exists already, and is another`)
    }
    return known
  }

  function childOf(name: string, metric: Metric, values: readonly string[]): Child {
    if (values.length !== metric.labels.length) throw new Error(`${name} has labels ${metric.labels.join(', ')}`)
    const key = values.join('\u0000')
    let child = metric.children.get(key)
    if (child === undefined) {
      const { buckets } = metric
      const histogram =
        metric.kind === 'histogram' ? { counts: new Array(buckets.length + 1).fill(0), sum: 0 } : undefined
      child = { values, value: 0, histogram, handle: undefined }
      metric.children.set(key, child)
    }
    return child
  }

  function labelled<T extends Counter | Gauge | Histogram>(
    name: string,
    metric: Metric,
    handleOf: (child: Child) => T,
  ): Labelled<T> {
    const find: Labelled<T> = (...values) => {
      const child = childOf(name, metric, values)
      child.handle ??= handleOf(child)
      return child.handle as T
    }
    // Without labels there is one sample from the start: 0 is an answer, too.
    if (metric.labels.length === 0) find()
    return find
  }

  async function samplesOf(name: string, { read, children }: Metric): Promise<Sample[]> {
    if (read === undefined) return [...children.values()]
    try {
      return [...(await read())].map(([values, value]) => ({ values, value, histogram: undefined }))
    } catch (error) {
      options.onError?.(name, error)
      return []
    }
  }

  return {
    counter(name, help, labels = []) {
      return labelled(name, define('counter', name, help, labels, []), counterOf)
    },
    gauge(name, help, labels = []) {
      return labelled(name, define('gauge', name, help, labels, []), gaugeOf)
    },
    histogram(name, help, labels = [], buckets = DEFAULT_BUCKETS) {
      return labelled(name, define('histogram', name, help, labels, buckets), (child) => histogramOf(child, buckets))
    },
    observed(kind, name, help, labels, read) {
      define(kind, name, help, labels, []).read = read
    },
    async expose() {
      const families = [...metrics].map(async ([name, metric]): Promise<Family> => {
        const { kind, help, labels, buckets } = metric
        return { name, kind, help, labels, buckets, samples: await samplesOf(name, metric) }
      })
      return textOf(await Promise.all(families))
    },
  }
}

/** Prometheus, "Metric names and labels". */
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/

function counterOf(child: Child): Counter {
  return {
    inc(by = 1) {
      child.value += by
    },
  }
}

function gaugeOf(child: Child): Gauge {
  return {
    set(value) {
      child.value = value
    },
    add(by) {
      child.value += by
    },
  }
}

function histogramOf({ histogram }: Child, buckets: readonly number[]): Histogram {
  if (histogram === undefined) throw new Error('not a histogram')
  const { counts } = histogram
  const last = buckets.length
  return {
    observe(value) {
      let bucket = 0
      while (bucket < last && value > (buckets[bucket] ?? 0)) bucket++
      counts[bucket] = (counts[bucket] ?? 0) + 1
      histogram.sum += value
    },
  }
}
