import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { TestImage } from './image.ts'
import { makeImage, pushImage } from './image.ts'
import { must, run } from './programs.ts'
import { BERTH, type Berth, startBerth } from './start-berth.ts'

/** The commands by which an operator gets space back, and back what was deleted, against the real program. */
describe('space', () => {
  const [old, current, other] = ['old', 'current', 'other'].map((seed) => makeImage({ layers: [50_000], seed }))
  let berth: Berth

  const berthOf = (...args: string[]) => must([BERTH, ...args, '--data', berth.dataDirectory])
  const json = async (...args: string[]) => JSON.parse(await berthOf(...args, '--format', 'json'))
  const digestOf = (image: TestImage | undefined) => image?.manifest.digest ?? ''
  const layerOf = (image: TestImage | undefined) => image?.layers[0]?.digest ?? ''
  const statusOf = async (path: string) => (await fetch(`${berth.url}/v2/team/app/${path}`)).status
  const remove = (reference: string) => fetch(`${berth.url}/v2/team/app/manifests/${reference}`, { method: 'DELETE' })

  beforeAll(async () => {
    berth = await startBerth({ env: { REGISTRY_AUTH: 'none' } })
    for (const [image, tag] of [
      [old, 'v1'],
      [current, 'v1'],
      [other, 'v2'],
    ] as const) {
      if (image !== undefined) await pushImage(berth.url, 'team/app', image, { tag })
    }
  })
  afterAll(async () => await berth?.dispose())

  test('the history of a tag tells its moves, and a tag goes back to where it was', async () => {
    const moves = async () =>
      (await json('tag', 'history', 'team/app:v1')).moves.map((move: { from: string; to: string }) => [
        move.from,
        move.to,
      ])
    expect(await moves()).toEqual([
      [digestOf(old), digestOf(current)],
      [null, digestOf(old)],
    ])
    await berthOf('tag', 'restore', 'team/app:v1')
    const { headers } = await fetch(`${berth.url}/v2/team/app/manifests/v1`, { method: 'HEAD' })
    expect(headers.get('docker-content-digest')).toBe(digestOf(old))
    await berthOf('tag', 'restore', 'team/app:v1')
    expect(await moves()).toHaveLength(4)
  }, 180_000)

  test('what keeps a blob is the way from a tag down', async () => {
    const why = await berthOf('gc', 'why', layerOf(other))
    expect(why).toContain('kept by team/app:v2')
    expect(why).toContain(digestOf(other))
    const unknown = berthOf('gc', 'why', `sha256:${'0'.repeat(64)}`)
    await expect(unknown).rejects.toThrow('is not here: no blob, and no manifest')
  }, 180_000)

  test('what was deleted is in the trash, comes back from there, and goes for good when it is asked to', async () => {
    expect((await remove(digestOf(other))).status).toBe(202)
    expect(await statusOf('manifests/v2')).toBe(404)
    const { manifests } = await json('trash', 'list')
    expect(manifests).toMatchObject([
      { repository: 'team/app', digest: digestOf(other), tags: ['v2'], reason: 'deleted' },
    ])
    await berthOf('trash', 'restore', `team/app@${digestOf(other)}`)
    expect(await statusOf('manifests/v2')).toBe(200)
    expect((await remove(digestOf(other))).status).toBe(202)
    const [again] = (await json('trash', 'list')).manifests
    await berthOf('trash', 'restore', String(again.id))
    expect(await statusOf('manifests/v2')).toBe(200)
    expect(await statusOf(`blobs/${layerOf(other)}`)).toBe(200)

    await remove(digestOf(other))
    const dry = await json('gc', 'run', '--now', '--dry-run')
    expect(dry).toMatchObject({ state: 'done', dryRun: true, blobs: { count: 2 } })
    expect(await statusOf(`blobs/${layerOf(current)}`)).toBe(200)
    const ran = await json('gc', 'run', '--now')
    expect(ran).toMatchObject({ state: 'done', failures: 0, blobs: { count: 2 }, unlinked: { count: 2 } })
    expect(await statusOf(`blobs/${layerOf(other)}`)).toBe(404)
    expect(await json('gc', 'status')).toMatchObject({
      garbage: { count: 0 },
      discarded: { count: 0 },
      trash: { count: 0 },
      collected: { blob: { count: 2 } },
    })
    // The images that tags name are whole, the one that lost its tag a moment ago, too.
    for (const image of [current, old]) expect(await statusOf(`blobs/${layerOf(image)}`)).toBe(200)
  }, 180_000)

  test("the original's command line collects, while the server runs", async () => {
    const config = join(berth.dataDirectory, 'config.yml')
    await Bun.write(
      config,
      JSON.stringify({ version: '0.1', storage: { filesystem: { rootdirectory: berth.dataDirectory } }, auth: 'none' }),
    )
    const registry = join(BERTH, '../registry')
    const dry = await run([registry, 'garbage-collect', config, '--dry-run'])
    expect(dry).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('0 blobs and 0 manifests eligible for deletion'),
    })
    expect(await run([registry, 'garbage-collect', config, '-m', '-q'])).toMatchObject({ code: 0, stdout: '' })
    expect(await statusOf('manifests/v1')).toBe(200)
  }, 180_000)
})
