import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, pushImage, type TestImage } from '../image.ts'
import { describeWith } from '../programs.ts'
import { startBerth } from '../start-berth.ts'
import { createdAnswers } from './answers.ts'
import { audit, auditDirectory } from './audit.ts'
import { createDisk, type Disk, type Fate } from './disk.ts'
import { createLedger, type Ledger } from './ledger.ts'
import { createRandom, type Random, seedOf } from './random.ts'
import { startTraced } from './start-traced.ts'
import { type Moment, parseTrace } from './trace.ts'

const PUSHERS = 3
/** Enough commits that the database moves its log into the file in between (every 1,000 pages). */
const IMAGES = 16
const CUTS = 12
const PORT_ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const TIMEOUT = 300_000

interface Push {
  repository: string
  tag: string
  image: TestImage
}

/** One server runs; from what it did, the disk is made again as power cuts at several moments would have left it. */
describeWith(['strace'], 'a power cut', () => {
  const seed = seedOf('power cut')
  const pushes: Push[][] = plan(seed)
  let folder = ''
  let data = ''
  let moments: Moment[] = []
  /** Moments of the whole run's 201s. */
  let answers: { at: number; path: string }[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-cut-'))
    data = join(folder, 'data')
    mkdirSync(data)
    const server = await startTraced(folder, data)
    try {
      await Promise.all(
        pushes.map(async (own) => {
          for (const { repository, tag, image } of own) await pushImage(server.url, repository, image, { tag })
        }),
      )
      moments = parseTrace(await server.stop())
      answers = createdAnswers(moments)
    } finally {
      await server.dispose()
    }
  }, TIMEOUT)

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  /** Begins when the first push is acknowledged, and ends while the last answer leaves. */
  const span = () => ({ first: answers[0]?.at ?? 0, last: answers.at(-1)?.at ?? 0 })

  test('the run has acknowledged every push, and moved the log of the database into its file meanwhile', () => {
    const count = pushes.flat().reduce((sum, { image }) => sum + image.layers.length + 2, 0)
    expect(answers.length).toBe(count)
    const { first, last } = span()
    const toFile = moments
      .slice(first, last)
      .some(({ call }) => /^pwrite64/.test(call.name) && /berth\.db>/.test(call.text))
    expect(toFile).toBe(true)
  })

  test('at once after an answer loses nothing that was acknowledged, if the disk keeps only what was synced', async () => {
    const { last } = span()
    expect(await lossesAt(last + 1, () => 'lost')).toEqual([])
  })

  test(
    `at ${CUTS} random moments loses nothing that was acknowledged, whatever else the disk keeps`,
    async () => {
      const random = createRandom(seed)
      const { first, last } = span()
      const losses: string[] = []
      for (let cut = 0; cut < CUTS; cut++) {
        const at = first + random.below(last - first)
        const found = await lossesAt(at, fateOf(random, random.pick([0, 0.3, 0.7])))
        losses.push(...found.map((loss) => `cut at moment ${at}: ${loss}`))
      }
      expect(losses).toEqual([])
    },
    TIMEOUT,
  )

  const LIES: [string, (path: string) => boolean][] = [
    ['every sync', () => true],
    ['the syncs of uploads', (path) => path.includes('/berth-uploads/')],
    ['the syncs of the directories of blobs', (path) => path.includes('/blobs/sha256')],
    ['the syncs of the log of the database', (path) => path.endsWith('/berth.db-wal')],
  ]
  test.each(LIES)('is seen to lose what was acknowledged, if the disk ignores %s', async (_, ignores) => {
    const { last } = span()
    expect(
      await lossesAt(
        last + 1,
        () => 'lost',
        (path) => !ignores(path),
      ),
    ).not.toEqual([])
  })

  /** What a server finds missing, or wrong, on what a power cut at a moment leaves. */
  async function lossesAt(at: number, fate: () => Fate, honours?: (path: string) => boolean): Promise<string[]> {
    const disk = replay(moments.slice(0, at), createDisk(data, honours))
    const acknowledged = new Set(answers.filter((answer) => answer.at < at).map(({ path }) => path))
    const dataDirectory = mkdtempSync(join(folder, 'after-'))
    try {
      disk.write(dataDirectory, fate)
      return await lossesOf(dataDirectory, ledgerOf(pushes, acknowledged))
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true })
    }
  }
})

/** Several sequences of pushes that run side by side, with tags that move, and a layer that all of them share. */
function plan(seed: string): Push[][] {
  return Array.from({ length: PUSHERS }, (_, pusher) =>
    Array.from({ length: IMAGES }, (_, round) => {
      const layers = round === 3 ? [20_000] : [500 + pusher * 100 + round, 40_000]
      const name = round === 3 ? `${seed}-shared` : `${seed}-${pusher}-${round}`
      const image = makeImage({ seed: name, layers, annotations: { push: `${pusher}-${round}` } })
      return { repository: `team-${pusher}/app-${round % 2}`, tag: round % 3 === 0 ? `v${round}` : 'latest', image }
    }),
  )
}

/** What the clients know at the cut: each had one request at a time on its way. */
function ledgerOf(pushes: readonly Push[][], acknowledged: ReadonlySet<string>): Ledger {
  const ledger = createLedger()
  for (const own of pushes) {
    for (const { repository, tag, image } of own) {
      for (const blob of [image.config, ...image.layers]) {
        const acknowledge = ledger.sendBlob(repository, blob)
        if (acknowledged.has(`/v2/${repository}/blobs/${blob.digest}`)) acknowledge()
      }
      const acknowledge = ledger.sendManifest(repository, tag, image)
      if (!acknowledged.has(`/v2/${repository}/manifests/${image.manifest.digest}`)) break
      acknowledge()
    }
  }
  return ledger
}

function replay(moments: readonly Moment[], disk: Disk): Disk {
  for (const moment of moments) disk.apply(moment)
  return disk
}

function fateOf(random: Random, kept: number): () => Fate {
  return () => {
    if (!random.chance(kept)) return 'lost'
    // A sector is written as a whole or not at all.
    return random.chance(0.2) ? { firstBytes: 512 * random.below(8) } : 'kept'
  }
}

async function lossesOf(dataDirectory: string, ledger: Ledger): Promise<string[]> {
  try {
    const berth = await startBerth({ dataDirectory, env: PORT_ENV })
    try {
      const losses = await audit(berth.url, ledger)
      await berth.stop()
      return [...losses, ...auditDirectory(dataDirectory)]
    } finally {
      await berth.dispose()
    }
  } catch (error) {
    return [`the server fails: ${error}`]
  }
}
