import { join } from 'node:path'
import type { RunView } from '../../src/http/api/collection-schemas.ts'
import type { Server } from './servers.ts'

/** Asks the administrative API over the server's own socket, as its commands do. @throws Error unless it says yes. */
export async function askBerth<T>(server: Pick<Server, 'folder'>, path: string, body?: unknown): Promise<T> {
  return JSON.parse(await textOfBerth(server, path, body)) as T
}

/** As `askBerth`, of an answer that is more than one value. */
export async function textOfBerth(
  { folder }: Pick<Server, 'folder'>,
  path: string,
  body?: unknown,
  method = 'POST',
): Promise<string> {
  const answer = await fetch(`http://berth/api/v1${path}`, {
    unix: join(folder, 'data', 'berth.sock'),
    ...(body === undefined
      ? {}
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
  return text
}

/** Begins a cycle of the collector. */
export async function startCollection(server: Server): Promise<void> {
  await askBerth(server, '/gc/runs', {})
}

export function latestCollection(server: Server): Promise<RunView> {
  return askBerth<RunView>(server, '/gc/runs/latest')
}

/** @throws Error when it fails, or takes longer than ten minutes. */
export async function collectionEnded(server: Server): Promise<RunView> {
  const until = performance.now() + 10 * 60_000
  while (performance.now() < until) {
    const run = await latestCollection(server)
    if (run.state === 'done') return run
    if (run.state === 'failed') throw new Error(`the collection failed: ${run.error}`)
    // Each look is told all that went so far, which costs the server more than what is measured here.
    await Bun.sleep(200)
  }
  throw new Error('the collection does not end')
}
