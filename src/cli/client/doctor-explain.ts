import { ERROR_TEXTS } from '../../doctor/error-texts.ts'
import { explain, formatExplanation, keyIdIn } from '../../doctor/explain.ts'
import { troubleshootingMarkdown } from '../../doctor/troubleshooting.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { printable, printableJson } from '../table.ts'
import type { ClientContext } from './context.ts'

/** Bytes of a log on standard input. */
const MAX_LOG = 4 * 1024 * 1024
/** Explanations of one text; a log may hold several that have nothing to do with each other. */
const MOST = 5

/** `berth doctor explain TEXT`; without a text all that are known. */
export async function explainText(
  context: ClientContext,
  given: string,
  format: 'text' | 'json' | 'markdown',
): Promise<void> {
  if (format === 'markdown') {
    if (given !== '')
      throw new UpstreamError('usage', '--format markdown writes the page of all texts: leave out the text')
    context.out(troubleshootingMarkdown())
    return
  }
  if (given === '') {
    if (format === 'json') context.out(printableJson(JSON.stringify({ texts: ERROR_TEXTS }, undefined, 2)))
    else context.out(ERROR_TEXTS.map(({ texts: [first] }) => `${first}\n`).join(''))
    return
  }
  const text = given === '-' ? await context.readInput(MAX_LOG) : given
  const found = explain(text).slice(0, MOST)
  if (found.length === 0) {
    throw new UpstreamError('not-found', unknown(text), {
      hint: 'berth doctor explain lists the texts that are known; berth doctor HOST:PORT looks at the registry itself',
    })
  }
  if (format === 'json') context.out(printableJson(JSON.stringify({ explanations: found }, undefined, 2)))
  else
    context.out(
      found
        .map((one) =>
          formatExplanation(one, one.finds.includes('untrusted-key') ? keyIdIn(text) : undefined, context.columns),
        )
        .join('\n'),
    )
}

/** None of several lines is named: which of them is the error is what was not found out. */
function unknown(text: string): string {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const [first] = lines
  if (first === undefined) return 'there is no text to explain'
  if (lines.length > 1) return `nothing is known of any of these ${lines.length} lines`
  return `nothing is known of ${JSON.stringify(printable(first.trim().slice(0, 100)))}`
}
