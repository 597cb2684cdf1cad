import type { RetentionLine } from '../../registry/retention.ts'
import type { PlanItem } from '../../registry/retention-plan.ts'
import type { PlanLineView } from './retention-schemas.ts'
import { isoOf } from './views.ts'

/** Characters of lines that go together. */
const CHUNK = 32 * 1024

/**
 * A plan as lines of JSON, made as fast as they are read.
 * @param all also what no rule speaks of
 */
export function planStream(lines: AsyncGenerator<RetentionLine>, all: boolean): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    async pull(controller) {
      let text = ''
      try {
        while (text.length < CHUNK) {
          const { done, value } = await lines.next()
          if (done === true) {
            if (text !== '') controller.enqueue(encoder.encode(text))
            controller.close()
            return
          }
          const view = viewOf(value)
          if (all || !isUnspoken(value)) text += `${JSON.stringify(view)}\n`
        }
      } catch (error) {
        // The status was sent long ago: whoever reads lines must see that this was not the end.
        const failure: PlanLineView = { kind: 'error', error: error instanceof Error ? error.message : String(error) }
        controller.enqueue(encoder.encode(`${text}${JSON.stringify(failure)}\n`))
        controller.close()
        return
      }
      controller.enqueue(encoder.encode(text))
    },
    async cancel() {
      await lines.return(undefined)
    },
  })
}

function isUnspoken(line: RetentionLine): boolean {
  return (
    line.kind === 'item' &&
    line.item.action === 'keep' &&
    line.item.rule === undefined &&
    line.item.inspite === undefined
  )
}

function viewOf(line: RetentionLine): PlanLineView {
  return line.kind === 'total' ? { kind: 'total', ...line.total } : itemView(line.item)
}

function itemView({
  kind,
  repository,
  name,
  digest,
  pushedAt,
  usedAt,
  action,
  rule,
  reason,
  inspite,
}: PlanItem): PlanLineView {
  return {
    ...{ kind, repository, name, digest, pushedAt: isoOf(pushedAt), usedAt: isoOf(usedAt) },
    ...{ action, rule: rule ?? null, reason, inspite: inspite ?? null },
  }
}
