import type { PlanItemView, PlanLineView, PlanTotalView, RetentionWishView } from '../http/api/retention-schemas.ts'
import type { AdminContext, Stream } from './control.ts'
import { CommandError } from './error.ts'
import { bytesText, counted } from './progress.ts'
import { printable, printableJson } from './table.ts'

export type PlanFormat = 'table' | 'json' | 'ndjson'

/** Shows a plan as it comes: a `-` for what goes, a `=` for what stays in spite of a rule or by one. Resolves to its total. */
export async function showPlan(
  context: AdminContext,
  stream: Stream,
  wish: RetentionWishView,
  format: PlanFormat,
): Promise<PlanTotalView> {
  let count = 0
  for await (const line of stream<PlanLineView>('POST', '/retention/plan', { body: wish })) {
    if (line.kind === 'error') throw new CommandError(`the plan ended before its time: ${line.error}`)
    if (format === 'ndjson') context.out(printableJson(JSON.stringify(line)))
    if (line.kind === 'total') {
      if (format === 'json') context.out(`${count === 0 ? '{"items": [' : '\n'}], "total": ${JSON.stringify(line)}}\n`)
      if (format === 'table') context.out(totalText(line))
      return line
    }
    if (format === 'json') {
      context.out(count === 0 ? '{"items": [\n' : ',\n')
      context.out(printableJson(JSON.stringify(line)).trimEnd())
    }
    if (format === 'table') context.out(`${printable(itemText(line))}\n`)
    count++
  }
  throw new CommandError('the plan ended before its time')
}

function itemText({ kind, repository, name, action, rule, reason, inspite }: PlanItemView): string {
  const what = kind === 'tag' ? `${repository}:${name}` : `${repository}@${name}`
  const by = rule === null ? '' : `${rule}: `
  const despite = inspite === null ? '' : `, in spite of ${inspite}`
  return `${action === 'delete' ? '-' : '='} ${what}  ${by}${reason}${despite}`
}

function totalText({ repositories, tags, kept, manifests, bytes, exact }: PlanTotalView): string {
  const size = `${exact ? '' : 'at least '}${bytesText(bytes)}`
  return `${counted(repositories, 'repository', 'repositories')}: ${counted(tags, 'tag')} would go, ${kept} would stay; ${counted(manifests, 'manifest')} with ${size} would go to the trash\n`
}
