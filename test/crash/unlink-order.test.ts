import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, pushImage } from '../image.ts'
import { describeWith } from '../programs.ts'
import { createDisk } from './disk.ts'
import { startTraced } from './start-traced.ts'
import { type Moment, parseTrace } from './trace.ts'

const REPOSITORY = 'library/app'
const TIMEOUT = 180_000
const POLL = 20

describeWith(['strace'], 'before the collector unlinks a blob', () => {
  const image = makeImage({ seed: 'unlink-order', layers: [10_000] })
  let folder = ''
  let moments: Moment[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-unlink-'))
    const server = await startTraced(folder, join(folder, 'data'))
    try {
      await pushImage(server.url, REPOSITORY, image, { tag: 'v1' })
      const manifest = `${server.url}/v2/${REPOSITORY}/manifests/${image.manifest.digest}`
      expect((await fetch(manifest, { method: 'DELETE' })).status).toBe(202)
      expect(await collect(join(folder, 'data/berth.sock'))).toMatchObject({ state: 'done', unlinked: { count: 2 } })
      moments = parseTrace(await server.stop())
    } finally {
      await server.dispose()
    }
  }, TIMEOUT)

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const log = () => join(folder, 'data/berth.db-wal')
  const wroteLog = ({ call }: Moment) => call.name.includes('write') && call.text.includes(`<${log()}>`)
  const isSyncOfLog = ({ call }: Moment) => /^f(data)?sync$/.test(call.name) && call.text.includes(`<${log()}>`)
  const beforeUnlink = () =>
    moments.findIndex(({ call }) => call.name.startsWith('unlink') && /\/blobs\/sha256\/.*\/data"/.test(call.text))

  /** What a power cut at that moment would take of what the database has written. */
  function atRisk(before: readonly Moment[]): string[] {
    const disk = createDisk(folder)
    for (const moment of before) disk.apply(moment)
    return disk.unsafe(log())
  }

  test('the database has synced the mark that it goes', () => {
    const before = moments.slice(0, beforeUnlink())
    expect(before.filter(wroteLog).length).toBeGreaterThan(0)
    expect(atRisk(before)).toEqual([])
  })

  test('and without that one sync the mark would be lost', () => {
    const before = moments.slice(0, beforeUnlink())
    const last = before.findLastIndex((moment) => isSyncOfLog(moment))
    const { call } = before[last] ?? {}
    expect(atRisk(before.filter((moment) => moment.call !== call))).not.toEqual([])
  })
})

/** A cycle that does not wait, over the server's own socket; when it has ended. */
async function collect(unix: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ now: true })
  const begun = await fetch('http://berth/api/v1/gc/runs', { unix, method: 'POST', headers, body })
  if (!begun.ok) throw new Error(`${begun.status} ${await begun.text()}`)
  for (;;) {
    const run = (await (await fetch('http://berth/api/v1/gc/runs/latest', { unix })).json()) as { state: string }
    if (run.state !== 'running') return run
    await Bun.sleep(POLL)
  }
}
