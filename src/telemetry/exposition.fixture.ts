/** What a scrape said, read as strictly as Prometheus' text format 0.0.4 is written. */
export interface Scraped {
  /** By metric, in the order of the text. */
  families: Map<string, { kind: string; help: string; samples: Map<string, number> }>
  /** Of one sample, as it stands in the text: `name{a="b"}`. */
  value(sample: string): number | undefined
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\n"])*"'
const HELP = new RegExp(`^# HELP (${NAME}) ((?:[^\\\\]|\\\\[\\\\n])*)$`)
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`)
const SAMPLE = new RegExp(`^(${NAME})(\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`)
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:e[+-]\d+)?|[+-]Inf|NaN)$/

/** @throws Error that names the line which is not as the format has it. */
export function parseExposition(text: string): Scraped {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end')
  const families: Scraped['families'] = new Map()
  let current: { name: string; kind: string; help: string; samples: Map<string, number> } | undefined
  let help: { name: string; text: string } | undefined
  for (const line of text.split('\n').slice(0, -1)) {
    const fail = (what: string) => new Error(`${what}: ${line}`)
    const helped = HELP.exec(line)
    if (helped !== null) {
      help = { name: helped[1] ?? '', text: helped[2] ?? '' }
      continue
    }
    const typed = TYPE.exec(line)
    if (typed !== null) {
      const [, name = '', kind = ''] = typed
      if (help?.name !== name) throw fail('a type without its help before it')
      if (families.has(name)) throw fail('a metric comes twice')
      current = { name, kind, help: help.text, samples: new Map() }
      families.set(name, current)
      continue
    }
    const sampled = SAMPLE.exec(line)
    if (sampled === null) throw fail('neither comment nor sample')
    const [, name = '', braces = '', labels = '', number = ''] = sampled
    if (current === undefined || baseOf(name, current.kind) !== current.name) throw fail('a sample without its type')
    if (!NUMBER.test(number)) throw fail('no number')
    const names = [...labels.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"/g)].map(([, label]) => label)
    if (new Set(names).size !== names.length) throw fail('a label comes twice')
    if (current.samples.has(name + braces)) throw fail('a sample comes twice')
    current.samples.set(name + braces, Number(number.replace('Inf', 'Infinity')))
  }
  for (const [name, { kind, samples }] of families) {
    if (samples.size === 0) throw new Error(`${name} has no sample`)
    if (kind === 'counter' && !name.endsWith('_total')) throw new Error(`the counter ${name} is not called _total`)
    if (kind === 'histogram') checkHistogram(name, samples)
  }
  return {
    families,
    value: (sample) => families.get(familyOf(sample, families))?.samples.get(sample),
  }
}

function baseOf(name: string, kind: string): string {
  return kind === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name
}

function familyOf(sample: string, families: Scraped['families']): string {
  const [name = ''] = sample.split('{', 1)
  return families.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
}

/** Buckets grow, the last has no bound, and is as large as the count; the sum is there. */
function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const series = new Map<string, { bounds: number[]; counts: number[] }>()
  for (const [sample, value] of samples) {
    const bucket = /^\w+_bucket\{(?:(.*),)?le="([^"]+)"\}$/.exec(sample)
    if (bucket === null) continue
    const labels = bucket[1] === undefined ? '' : `{${bucket[1]}}`
    const entry = series.get(labels) ?? { bounds: [], counts: [] }
    series.set(labels, entry)
    entry.bounds.push(Number(bucket[2]?.replace('Inf', 'Infinity')))
    entry.counts.push(value)
  }
  if (series.size === 0) throw new Error(`${name} has no bucket`)
  for (const [labels, { bounds, counts }] of series) {
    const grows = (list: readonly number[]) => list.every((value, i) => i === 0 || value >= (list[i - 1] ?? 0))
    const total = samples.get(`${name}_count${labels}`)
    const whole = bounds.at(-1) === Number.POSITIVE_INFINITY && counts.at(-1) === total
    if (!grows(bounds) || !grows(counts) || !whole || !samples.has(`${name}_sum${labels}`)) {
      throw new Error(`${name}${labels} is no histogram`)
    }
  }
}
