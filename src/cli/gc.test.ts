import { expect, test } from 'bun:test'
import type { CollectionRun, CollectionRuns } from '../registry/collect-runs.ts'
import { openShell } from './admin.fixture.ts'
import { gcCommand } from './gc.ts'

const A = `sha256:8a3da27d7165${'0'.repeat(52)}` as const
const B = `sha256:4f4fb700ef54${'0'.repeat(52)}` as const

const RUN: CollectionRun = {
  ...{ id: 'run-1', state: 'done', startedAt: 0, endedAt: 1, failures: 0, complete: true, error: undefined },
  mode: { immediately: true, dryRun: false, untagged: false },
  ...{ manifests: { count: 1, bytes: 10 }, blobs: { count: 1, bytes: 2048 }, unlinked: { count: 1, bytes: 2048 } },
  listed: { manifests: [{ repository: 'team/app', digest: A, size: 10 }], blobs: [{ digest: B, size: 2048 }] },
}

const ran = async (columns: number | undefined, ...flags: string[]) => {
  const collection: Pick<CollectionRuns, 'start' | 'latest'> = { start: () => RUN, latest: () => RUN }
  const { run } = await openShell({
    api: { collection: collection as CollectionRuns },
    ...(columns === undefined ? {} : { columns }),
  })
  return await run(gcCommand, 'run', '--now', ...flags)
}

test('a run says what went, with digests that fit a terminal', async () => {
  expect(await ran(80)).toEqual({
    out: `manifest  team/app@sha256:8a3da27d7165
blob      sha256:4f4fb700ef54  2.0 KiB
1 manifest and 1 blob (2.0 KiB) are gone; 2.0 KiB are free again
`,
    error: '',
    code: 0,
  })
})

test('a run that waits for the window says that manifests are in the trash', async () => {
  const ordinary = { ...RUN, mode: { immediately: false, dryRun: false, untagged: true } }
  const collection: Pick<CollectionRuns, 'start' | 'latest'> = { start: () => ordinary, latest: () => ordinary }
  const { run } = await openShell({ api: { collection: collection as CollectionRuns } })
  expect((await run(gcCommand, 'run', '-m')).out).toEndWith(
    '\n1 manifest (in the trash until its window ends) and 1 blob (2.0 KiB) are gone; 2.0 KiB are free again\n',
  )
})

test('whole digests go elsewhere, and wherever they are asked for', async () => {
  for (const { out } of [await ran(undefined), await ran(80, '--no-trunc')]) {
    expect(out).toStartWith(`manifest  team/app@${A}\nblob      ${B}  2.0 KiB\n`)
  }
})

test.each(['sha256:8a3da27d7165', '8a3da27d7165', 'team/app:v1'])(
  'why wants a whole digest, and no %s',
  async (digest) => {
    const { run } = await openShell()
    expect(await run(gcCommand, 'why', digest)).toEqual({
      out: '',
      error: `berth: "${digest}" is no whole digest: sha256: and 64 hex digits\nHint: lists show whole digests with --no-trunc\n`,
      code: 2,
    })
  },
)
