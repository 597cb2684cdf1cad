import { type Figure, median } from './figures.ts'
import { describeGoal, isMet } from './goals.ts'

const HEADER = ['what', 'unit', 'Berth', 'docker-registry', 'Berth / peer', 'goal', 'met']

/** A Markdown table of medians, a heading for each part. */
export function renderTable(figures: readonly Figure[]): string {
  const parts = [...new Set(figures.map(({ part }) => part))]
  return parts
    .map((part) => `### ${part}\n\n${renderRows(figures.filter((figure) => figure.part === part))}`)
    .join('\n\n')
}

function renderRows(figures: readonly Figure[]): string {
  const rows = [HEADER, HEADER.map((_, index) => (index < 2 ? '---' : '--:')), ...figures.map(cellsOf)]
  return rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function cellsOf({ name, unit, samples, goal }: Figure): string[] {
  const berth = median(samples.berth)
  const peer = median(samples.peer)
  const ratio = berth === undefined || peer === undefined || peer === 0 ? undefined : berth / peer
  const met = goal === undefined ? undefined : isMet(goal, berth, peer)
  return [
    ...[name, unit, figureText(berth), figureText(peer), ratio === undefined ? '' : `${figureText(ratio)} ×`],
    goal === undefined ? '' : describeGoal(goal, unit),
    met === undefined ? '' : met ? 'yes' : '**no**',
  ]
}

/** Three significant digits, without an exponent. */
export function figureText(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return ''
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)))
  return value.toFixed(Math.min(digits, 4))
}
