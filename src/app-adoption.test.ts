import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { writeTree } from '../test/distribution-tree.ts'
import { findProgram, run } from '../test/programs.ts'
import { BERTH } from '../test/start-berth.ts'
import { adoptTree, rehearseAdoption } from './app-adoption.ts'
import type { Metadata } from './metadata/metadata.ts'
import { openQuickly } from './metadata/sqlite.fixture.ts'
import { digestOf } from './oci/digest.ts'
import type { Fault } from './registry/adoption-report.ts'
import { ADOPTED_ROOT, REPOSITORIES_ROOT } from './storage/distribution-path.ts'

const NOW = Date.UTC(2026, 0, 1)
const clock = { now: () => NOW }

let folder = ''
let directory = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'berth-adoption-'))
  directory = join(folder, 'data')
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

const config = () => ({
  data: { directory, metadata: directory },
  validation: { enabled: true, urls: { allow: [], deny: [] }, indexes: { platforms: 'all' as const } },
})
const at = (path: string) => join(directory, path)
const quiet = { verify: false, onProgress: () => {}, onFault: () => {} }

async function withDatabase<T>(body: (metadata: Metadata) => Promise<T>): Promise<T> {
  const metadata = await openQuickly({ path: at('berth.db'), ...clock })
  try {
    return await body(metadata)
  } finally {
    await metadata.close()
  }
}

const adoptAll = (more: Partial<typeof quiet> = {}) =>
  withDatabase((metadata) => adoptTree(config(), { metadata, ...clock }, { ...quiet, ...more }))

/** Every path with all that a change would show in; links are not followed. */
function stateOf(top: string): string[] {
  return readdirSync(top, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(top, entry.name)
      const { mtimeMs, size, mode, ino } = lstatSync(path)
      return [`${path} ${mtimeMs} ${size} ${mode} ${ino}`, ...(entry.isDirectory() ? stateOf(path) : [])]
    })
    .sort()
}

/** Milliseconds that trees of garbage are tried for. */
const PATIENCE = 20_000

describe('a tree full of garbage', () => {
  const hex = digestOf(Buffer.from('{}')).slice(7)
  const words = [
    '_layers',
    '_manifests',
    '_uploads',
    'revisions',
    'tags',
    'current',
    'index',
    'sha256',
    'sha384',
    'link',
  ]
  const part = fc.oneof(
    fc.constantFrom(...words, hex, hex.slice(0, 2), 'data', 'startedat', 'hashstates', 'latest', 'berth-export.json'),
    fc.constantFrom('a', 'app', 'Upper', '-x', 'a..b', 'link.tmp', 'data.0.tmp', 'signatures', 'x'.repeat(200), 'ä\n'),
  )
  const path = fc
    .tuple(
      fc.constantFrom('repositories', 'repositories/team-0/app-0', 'blobs', 'blobs/sha256', ''),
      fc.array(part, { minLength: 1, maxLength: 6 }),
    )
    .map(([top, parts]) => ['docker/registry/v2', top, ...parts].filter((text) => text !== '').join('/'))
  const content = fc.oneof(
    fc.constantFrom(
      '',
      '{}',
      `sha256:${hex}`,
      `sha256:${hex}\n`,
      'sha256:',
      '{"schemaVersion":1,"fsLayers":[null,{}]}',
      'null',
    ),
    fc.constantFrom(
      '{"schemaVersion":2}',
      '{"schemaVersion":2,"manifests":[]}',
      '['.repeat(500),
      '{"kind":"berth-export","complete":true,"inPlace":true}',
    ),
    fc.string({ maxLength: 20 }),
  )
  const garbage = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('file' as const), path, content }) },
    fc.record({ kind: fc.constant('folder' as const), path }),
    fc.record({
      kind: fc.constant('symlink' as const),
      path,
      to: fc.constantFrom('.', '..', '/', '/nowhere', 'link', '../../..'),
    }),
  )

  function put(item: { kind: 'file' | 'folder' | 'symlink'; path: string; content?: string; to?: string }): void {
    try {
      mkdirSync(dirname(at(item.path)), { recursive: true })
      if (item.kind === 'file') writeFileSync(at(item.path), item.content ?? '')
      else if (item.kind === 'folder') mkdirSync(at(item.path))
      else symlinkSync(item.to ?? '', at(item.path))
    } catch {
      // Something else lies there already, or the name is too long: less garbage then.
    }
  }

  test('is adopted without an error, told in a dry run that changes nothing, and harms no image beside it', async () => {
    const enough = performance.now() + PATIENCE
    await fc.assert(
      fc.asyncProperty(fc.array(garbage, { maxLength: 25 }), fc.boolean(), async (items, verify) => {
        // A machine that is busy tries fewer.
        if (performance.now() > enough) return
        rmSync(directory, { recursive: true, force: true })
        writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 0 })
        const good = writeTree(directory, { repositories: 2, images: 1, layers: 2, tags: 1 })
        for (const item of items) put(item)
        const kept = readFileSync(at(`${REPOSITORIES_ROOT}/team-1/app-1/_manifests/tags/v0/current/link`), 'utf8')

        const before = stateOf(directory)
        const dry = await rehearseAdoption(config(), clock, { ...quiet, verify })
        expect(stateOf(directory)).toEqual(before)

        const faults: Fault[] = []
        const wet = await adoptAll({ verify, onFault: (fault: Fault) => void faults.push(fault) } as never)
        expect({ ...dry, dryRun: false, retired: wet?.retired, file: wet?.file }).toEqual({ ...wet } as never)
        expect(faults.length).toBe(Object.values(wet?.faults ?? {}).reduce((sum, times) => sum + times, 0))
        expect(existsSync(at(ADOPTED_ROOT))).toBe(true)
        expect(await adoptAll()).toBeUndefined()
        await withDatabase(async (metadata) => {
          expect((await metadata.manifests.resolve('team-1/app-1', 'v0'))?.digest as string).toBe(kept)
          expect(good.get('team-1/app-1')?.get('v0') as string).toBe(kept)
        })
      }),
      { numRuns: 40, seed: 20_260_101 },
    )
  }, 110_000)

  test('with a folder in the place of the marker of an export is adopted', async () => {
    writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 1 })
    put({ kind: 'file', path: `${REPOSITORIES_ROOT}/berth-export.json/signatures` })
    expect(await adoptAll()).toMatchObject({ found: { tags: 1 }, faults: { stray: 1 } })
    expect(existsSync(at(`${ADOPTED_ROOT}/berth-export.json/signatures`))).toBe(true)
  })

  test('with a pipe in the place of a link does not hang', async () => {
    writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 1 })
    const link = at(`${REPOSITORIES_ROOT}/team-0/app-0/_manifests/tags/v0/current/link`)
    rmSync(link)
    await run(['mkfifo', link])
    expect((await adoptAll())?.faults).toMatchObject({ stray: 1, 'dangling-tag': 1 })
  })
})

describe('nothing is changed, and the operator hears what to do', () => {
  const berth = (...args: string[]) =>
    run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', BERTH, ...args])
  const isRoot = process.geteuid?.() === 0 && findProgram('setpriv') !== undefined

  test.skipIf(!isRoot)('where this user may not read a file', async () => {
    writeTree(directory, { repositories: 2, images: 2, layers: 1, tags: 1 })
    const link = `${REPOSITORIES_ROOT}/team-1/app-1/_manifests/tags/v0/current/link`
    chmodSync(folder, 0o755)
    await run(['chown', '-R', '65534:65534', directory])
    await run(['chown', '0:0', at(link)])
    chmodSync(at(link), 0o600)
    const before = stateOf(at('docker'))
    for (const args of [
      ['adopt', directory],
      ['serve', '--addr', '127.0.0.1:0', '--data', directory],
    ]) {
      const { code, stderr } = await berth(...args)
      expect(code).toBe(1)
      expect(stderr).toContain(`cannot be adopted, and nothing was changed`)
      expect(stderr).toContain(link)
      expect(stderr).toContain(`chown -R 65534:65534 ${directory}`)
    }
    expect(stateOf(at('docker'))).toEqual(before)
  })

  test.skipIf(!isRoot)('where it may read all, and not write', async () => {
    writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 1 })
    chmodSync(folder, 0o755)
    await run(['chown', '65534:65534', directory])
    const { code, stderr } = await berth('adopt', directory)
    expect({ code, remedy: stderr.includes(`chown -R 65534:65534 ${directory}`) }).toEqual({ code: 1, remedy: true })
    expect(statSync(at(REPOSITORIES_ROOT)).isDirectory()).toBe(true)
  })

  test('where there is no such directory', async () => {
    const { code, stderr } = await run([BERTH, 'adopt', join(folder, 'nowhere')])
    expect({ code, stderr }).toEqual({ code: 1, stderr: `berth: there is no directory ${join(folder, 'nowhere')}\n` })
  })

  test('where the database has no room', async () => {
    writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 1 })
    const mounted = join(folder, 'small')
    mkdirSync(mounted)
    const { code } = await run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', mounted])
    if (code !== 0) return
    try {
      const { stderr, code } = await run([BERTH, 'adopt', directory], { env: { REGISTRY_METADATA_PATH: mounted } })
      expect(code).toBe(1)
      expect(stderr).toMatch(/free|full|space/)
      expect(statSync(at(REPOSITORIES_ROOT)).isDirectory()).toBe(true)
    } finally {
      await run(['umount', mounted])
    }
  })
})

describe('a tree that was put aside', () => {
  test('keeps something in its place, whenever a crash came between', async () => {
    writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 1 })
    await adoptAll()
    expect(readFileSync(at(REPOSITORIES_ROOT), 'utf8')).toContain('berth export')
    rmSync(at(REPOSITORIES_ROOT))
    const { guardTree } = await import('./app-adoption.ts')
    guardTree(config())
    expect(readFileSync(at(REPOSITORIES_ROOT), 'utf8')).toContain('berth export')
  })

  test('stays when another comes', async () => {
    for (const name of ['', '.2', '.3']) {
      rmSync(at(REPOSITORIES_ROOT), { force: true })
      writeTree(directory, { repositories: 1, images: 1, layers: 1, tags: 1 })
      expect((await adoptAll())?.retired).toBe(`${ADOPTED_ROOT}${name}`)
    }
  })
})

test('a time that lies ahead counts as now, and a tag that Berth moved later stays', async () => {
  const tree = { repositories: 1, images: 2, layers: 1, tags: 1 }
  const [first] = writeTree(directory, tree).get('team-0/app-0') ?? []
  await adoptAll()
  await withDatabase(async (metadata) => {
    const before = await metadata.manifests.resolve('team-0/app-0', 'v0')
    expect(before?.digest).toBe(first?.[1])
    const page = await metadata.contents.manifests('team-0/app-0', {}, { limit: 9 })
    const other = page.manifests.find(({ digest }) => digest !== before?.digest)
    if (other === undefined) throw new Error('there are two images')
    await metadata.adoption.tags('team-0/app-0', [{ name: 'v0', digest: other.digest, at: NOW + 1, past: [] }], {
      isTruth: false,
      now: NOW,
    })
  })
  rmSync(at(REPOSITORIES_ROOT))
  writeTree(directory, tree)
  expect((await adoptAll())?.changed).toMatchObject({ keptTags: 1, movedTags: 0 })
})
