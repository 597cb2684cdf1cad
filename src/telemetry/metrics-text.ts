/** Prometheus' text exposition format 0.0.4, as its Go client writes it: families by name, samples by labels. */

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export interface Family {
  name: string
  kind: 'counter' | 'gauge' | 'histogram'
  help: string
  labels: readonly string[]
  /** Upper bounds of a histogram's buckets. */
  buckets: readonly number[]
  samples: readonly Sample[]
}

export interface Sample {
  values: readonly string[]
  value: number
  histogram: Histogram | undefined
}

export interface Histogram {
  /** Observations in each bucket alone; the last is for those above every bound. */
  counts: number[]
  sum: number
}

export function textOf(families: readonly Family[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(familyText)
    .join('')
}

function familyText(family: Family): string {
  const { name, kind, help, labels, samples } = family
  const lines = [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${kind}`]
  const spelled = samples.map((sample) => ({ sample, pairs: pairsOf(labels, sample.values) }))
  for (const { sample, pairs } of spelled.sort((a, b) => (a.pairs < b.pairs ? -1 : 1))) {
    if (sample.histogram === undefined) lines.push(`${name}${inBraces(pairs)} ${goNumber(sample.value)}`)
    else lines.push(...histogramLines(family, pairs, sample.histogram))
  }
  return `${lines.join('\n')}\n`
}

function histogramLines({ name, buckets }: Family, pairs: string, { counts, sum }: Histogram): string[] {
  const before = pairs === '' ? '' : `${pairs},`
  let total = 0
  const lines = counts.map((count, index) => {
    total += count
    const bound = buckets[index]
    return `${name}_bucket{${before}le="${bound === undefined ? '+Inf' : goNumber(bound)}"} ${goNumber(total)}`
  })
  return [
    ...lines,
    `${name}_sum${inBraces(pairs)} ${goNumber(sum)}`,
    `${name}_count${inBraces(pairs)} ${goNumber(total)}`,
  ]
}

/** Labels in the order of their names, as Go's client writes them. */
function pairsOf(labels: readonly string[], values: readonly string[]): string {
  return labels
    .map((label, index) => `${label}="${escapeValue(values[index] ?? '')}"`)
    .sort()
    .join(',')
}

function inBraces(pairs: string): string {
  return pairs === '' ? '' : `{${pairs}}`
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeValue(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}

/** As Go prints a number (`strconv.FormatFloat(n, 'g', -1, 64)`), so that `le` is what dashboards know: 1.048576e+06. */
export function goNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (value === 0) return '0'
  const [digits = '', power = '0'] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent >= -4 && exponent < 6) return String(value)
  const sign = exponent < 0 ? '-' : '+'
  return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
}
