import { expect, test } from 'bun:test'
import type { CollectionRun, CollectionRuns } from '../../registry/collect-runs.ts'
import { openApi } from './api.fixture.ts'

const DIGEST = `sha256:${'a'.repeat(64)}` as const

test('what a run took is told once, when it has ended', async () => {
  const none = { count: 0, bytes: 0 }
  const run: CollectionRun = {
    ...{ id: 'a1', mode: { immediately: false, untagged: false, dryRun: false }, state: 'running', startedAt: 1 },
    ...{ endedAt: undefined, manifests: none, blobs: { count: 1, bytes: 5 }, unlinked: none, failures: 0 },
    ...{ complete: true, error: undefined, listed: { manifests: [], blobs: [{ digest: DIGEST, size: 5 }] } },
  }
  const collection: CollectionRuns = {
    start: () => run,
    latest: () => run,
    status: async () => ({
      ...{ links: 0, manifests: 0, failing: 0, discarded: none, latest: run },
      ...{ garbage: { ...none, complete: true }, trash: { ...none, oldest: undefined, complete: true } },
      uploads: { ...none, oldest: undefined },
      collected: { blob: none, copy: none, manifest: none, upload: none },
      terms: { delay: 1, untagged: 'keep', window: 1, workers: 4 },
    }),
    why: async () => {
      throw new Error('nobody asked')
    },
    idle: async () => {},
    purge: async () => 'unknown',
  }
  const { ask } = await openApi({ collection })
  const listed = async () => {
    const [latest, status] = [await ask('GET /gc/runs/latest'), await ask('GET /gc')]
    expect([latest.status, status.status]).toEqual([200, 200])
    const of = (view: unknown) => (view as { listed: { blobs: unknown[] }; blobs: object }).listed.blobs
    return [of(latest.json), of((status.json as { latest: unknown }).latest)]
  }
  expect(await listed()).toEqual([[], []])
  run.state = 'done'
  expect(await listed()).toEqual([[{ digest: DIGEST, size: 5 }], []])
})
