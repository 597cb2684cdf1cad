import type { ServerName } from './servers.ts'

/** `ratio`: Berth's median divided by the peer's. `berth`: Berth's median itself. */
export interface Goal {
  of: 'ratio' | 'berth'
  atMost?: number
  atLeast?: number
}

export interface Metric {
  part: string
  /** What was done, in which condition. */
  name: string
  unit: string
  goal?: Goal
}

export interface Figure extends Metric {
  samples: Record<ServerName, number[]>
}

export interface Figures {
  add(metric: Metric, server: ServerName, value: number): void
  /** A sentence to print below the table. */
  note(text: string): void
  all(): readonly Figure[]
  notes(): readonly string[]
}

export function collectFigures(): Figures {
  const figures = new Map<string, Figure>()
  const notes: string[] = []
  return {
    add: (metric, server, value) => {
      const key = `${metric.part}|${metric.name}|${metric.unit}`
      const figure = figures.get(key) ?? { ...metric, samples: { berth: [], peer: [] } }
      figure.samples[server].push(value)
      figures.set(key, figure)
    },
    note: (text) => {
      if (!notes.includes(text)) notes.push(text)
    },
    all: () => [...figures.values()],
    notes: () => notes,
  }
}

/** Of an even count, the mean of the two in the middle. */
export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)]
  const high = sorted[Math.floor(sorted.length / 2)]
  return low === undefined || high === undefined ? undefined : (low + high) / 2
}
