import { UpstreamError } from '../../upstream/error.ts'
import type { ClientContext } from './context.ts'
import { lines } from './output.ts'

/** Says what would go, a line each, and asks. @throws UpstreamError for a no, `usage` where nobody is there to answer */
export async function mustAgree(context: ClientContext, ...statement: string[]): Promise<void> {
  context.error(lines(statement))
  if (!context.canAsk) {
    throw new UpstreamError('usage', 'there is no terminal to ask on', {
      hint: 'add --force to delete it without a question',
    })
  }
  const answer = await context.ask('Delete it? [y/N] ')
  if (!/^y(es)?$/i.test(answer.trim())) throw new UpstreamError('failed', 'nothing is deleted')
}
