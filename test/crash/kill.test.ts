import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment } from '../programs.ts'
import { BERTH, type Berth, startBerth } from '../start-berth.ts'
import { audit, auditDirectory } from './audit.ts'
import { createLedger } from './ledger.ts'
import { runPusher } from './pusher.ts'
import { createRandom, type Random, seedOf } from './random.ts'

/** Kills of a server under load; between some of them another one is killed while it starts. */
const KILLS = 50
/** On a machine that is busy a server lives too short to be pushed much to: then there are more of them, which live longer, up to so many. */
const MOST_KILLS = 2 * KILLS
/** Turns of 20 ms that such a one waits for something to be acknowledged. */
const MOST_TURNS = 1000
const PUSHERS = 4
/** Milliseconds that a server may live after its ready line. */
const LONGEST_LIFE = 250
/** Milliseconds that a start that is killed may take at the most. */
const LONGEST_START = 300
/** Entries of each kind that are looked at between two kills. */
const SAMPLE = 4
const ENV = { REGISTRY_AUTH: 'none', REGISTRY_LOG_ACCESSLOG_DISABLED: 'true' }
const TIMEOUT = 600_000

test(
  `${KILLS} kill -9 at random moments of parallel pushes lose nothing that was acknowledged`,
  async () => {
    const random = createRandom(seedOf('kill'))
    const folder = mkdtempSync(join(tmpdir(), 'berth-kill-'))
    const dataDirectory = join(folder, 'data')
    const ledger = createLedger()
    const faults: string[] = []
    const servers = createServers()
    const pushers = Array.from({ length: PUSHERS }, (_, index) =>
      runPusher({
        name: `pusher-${index}`,
        random: random.fork(`pusher-${index}`),
        ledger,
        server: servers.current,
        onFault: (fault) => faults.push(fault),
      }),
    )
    const pushedBlobs = () => [...ledger.blobs.values()].filter(({ acknowledged }) => acknowledged).length
    const pushedManifests = () => [...ledger.manifests.values()].filter(({ acknowledged }) => acknowledged).length
    const hasPushed = (index: number) =>
      [...ledger.manifests.values()].some((one) => one.acknowledged && one.repository.startsWith(`pusher-${index}/`))
    const hasSeenEnough = () => pushedBlobs() > KILLS && pushers.every((_, index) => hasPushed(index))
    let berth: Berth | undefined
    try {
      for (let kill = 0; kill < KILLS || (kill < MOST_KILLS && !hasSeenEnough()); kill++) {
        if (random.chance(0.2)) await killWhileStarting(dataDirectory, random)
        berth = await startBerth({ dataDirectory, env: ENV })
        servers.open(berth.url)
        if (kill >= KILLS) {
          const before = pushedManifests()
          for (let turn = 0; turn < MOST_TURNS && pushedManifests() === before; turn++) await Bun.sleep(20)
        }
        await Bun.sleep(random.below(LONGEST_LIFE))
        if (kill % 5 === 4) {
          faults.push(...(await audit(berth.url, ledger, (entries) => someOf(entries, random))))
        }
        servers.close()
        await berth.kill()
        await berth.dispose()
      }
      servers.end()
      const pushed = await Promise.all(pushers)

      const last = await startBerth({ dataDirectory, env: ENV })
      berth = last
      faults.push(...(await audit(last.url, ledger)))
      expect(await last.stop()).toBe(0)
      faults.push(...auditDirectory(dataDirectory))
      expect(faults).toEqual([])
      // The test has seen something: every pusher pushed whole images, and something was on its way at a kill.
      expect(Math.min(...pushed)).toBeGreaterThan(0)
      expect(pushedBlobs()).toBeGreaterThan(KILLS)
    } finally {
      servers.end()
      await berth?.dispose()
      await Promise.allSettled(pushers)
      rmSync(folder, { recursive: true, force: true })
    }
  },
  TIMEOUT,
)

/** Hands the URL of the server that runs to those who wait for one. */
function createServers() {
  let next = Promise.withResolvers<string | undefined>()
  let over = false
  return {
    current: () => next.promise,
    open: (url: string) => next.resolve(url),
    close() {
      if (!over) next = Promise.withResolvers()
    },
    end() {
      if (over) return
      over = true
      next.resolve(undefined)
    },
  }
}

async function killWhileStarting(dataDirectory: string, random: Random): Promise<void> {
  const child = Bun.spawn([BERTH, 'serve', '--addr', '127.0.0.1:0', '--data', dataDirectory], {
    env: cleanEnvironment(ENV),
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'ignore',
  })
  await Bun.sleep(random.below(LONGEST_START))
  child.kill('SIGKILL')
  await child.exited
}

function someOf<T>(entries: T[], random: Random): T[] {
  return entries.length === 0 ? [] : Array.from({ length: SAMPLE }, () => random.pick(entries))
}
