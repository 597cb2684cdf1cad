import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ADOPTED_ROOT, REPOSITORIES_ROOT } from '../../src/storage/distribution-path.ts'
import { writeTree } from '../distribution-tree.ts'
import { cleanEnvironment, must } from '../programs.ts'
import { BERTH, startBerth } from '../start-berth.ts'
import { createRandom, type Random, seedOf } from './random.ts'

const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const SIZE = { repositories: 60, images: 5, layers: 3, tags: 10 }
/** Each lets the next run live longer, so that one of them comes to an end: in fine steps, and then, on a busy machine, in coarse ones. */
const FIRST_LIFE = 100
const LONGER = 1.15
const FINE = 20
const MUCH_LONGER = 1.6
const LEAST_KILLS = 3
/** On a busy machine the kill may come when the run is over: then another tree is adopted, up to so many. */
const TURNS = 10

test('an adoption that is killed again and again goes on, and ends with everything', async () => {
  const random = createRandom(seedOf('adoption'))
  const folder = mkdtempSync(join(tmpdir(), 'berth-adoption-kill-'))
  try {
    let made = await adoptWithKills(join(folder, 'data'), random)
    for (let turn = 1; turn < TURNS && made.kills < LEAST_KILLS; turn++) {
      made = await adoptWithKills(join(folder, `data-${turn}`), random)
    }
    const { directory, expected, kills } = made
    expect(kills).toBeGreaterThanOrEqual(LEAST_KILLS)

    const berth = await startBerth({ dataDirectory: directory, env: ENV })
    try {
      const { repositories } = (await (await fetch(`${berth.url}/v2/_catalog`)).json()) as { repositories: string[] }
      expect(repositories).toEqual([...expected.keys()].sort())
      for (const [repository, tags] of expected) {
        const list = (await (await fetch(`${berth.url}/v2/${repository}/tags/list`)).json()) as { tags: string[] }
        expect(list.tags).toEqual([...tags.keys()].sort())
        for (const [tag, digest] of [...tags].slice(0, SIZE.images))
          await expectImage(berth.url, repository, tag, digest)
      }
    } finally {
      await berth.dispose()
    }
    // What a killed run left of its report is not left for ever.
    expect(await must(['sh', '-c', `ls ${directory} | grep -c part || true`])).toBe('0\n')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}, 300_000)

/** Makes a tree in the folder, and adopts it in as many runs as that takes. */
async function adoptWithKills(directory: string, random: Random) {
  const isTree = () => statSync(join(directory, REPOSITORIES_ROOT), { throwIfNoEntry: false })?.isDirectory() === true
  const isAside = () => statSync(join(directory, ADOPTED_ROOT), { throwIfNoEntry: false })?.isDirectory() === true
  const expected = writeTree(directory, SIZE)
  let kills = 0
  for (let life = FIRST_LIFE; isTree(); life *= kills < FINE ? LONGER : MUCH_LONGER) {
    const child = Bun.spawn([BERTH, 'adopt', directory], {
      env: cleanEnvironment(),
      stdin: 'ignore',
      stdout: 'ignore',
      stderr: 'ignore',
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), life * (0.5 + random.below(1000) / 1000))
    await child.exited
    clearTimeout(timer)
    if (child.signalCode === 'SIGKILL') kills++
    // At every moment the tree is where it was, or aside.
    expect(isTree() !== isAside()).toBe(true)
  }
  return { directory, expected, kills }
}

async function expectImage(url: string, repository: string, tag: string, digest: string): Promise<void> {
  const answer = await fetch(`${url}/v2/${repository}/manifests/${tag}`, { headers: { Accept: '*/*' } })
  const found = answer.headers.get('docker-content-digest')
  const { config, layers } = (await answer.json()) as Record<'config', Blob> & { layers: Blob[] }
  const statuses = await Promise.all(
    [config, ...layers].map(async (blob) => (await fetch(`${url}/v2/${repository}/blobs/${blob.digest}`)).status),
  )
  expect([repository, tag, found, ...statuses]).toEqual([repository, tag, digest, 200, ...layers.map(() => 200)])
}

interface Blob {
  digest: string
}
