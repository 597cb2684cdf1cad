import { expect } from 'bun:test'
import { check, checkEnd } from './collect-checks.fixture.ts'
import { clientsOf } from './collect-clients.fixture.ts'
import { caretakersOf } from './collect-harm.fixture.ts'
import { HOUR, MODES, ORDINARY, type Program, type World } from './collect-model.fixture.ts'
import { purgeImageOf } from './collect-purges.fixture.ts'
import { repositoryClientsOf } from './collect-repositories.fixture.ts'
import { createScene, freeing, nothingYet, type Ran } from './collect-scene.fixture.ts'

interface Settings {
  seed: number
  operations: number
}

/** Milliseconds: a machine that is busy takes ten times as long. */
export const MINUTES = 15 * 60_000

/** As many runs as asked for, each with a seed of its own: `BERTH_MODEL_SEED` begins elsewhere, `BERTH_MODEL_RUNS` makes more. */
const SEED = Number(process.env.BERTH_MODEL_SEED ?? 1)
/** A number: runs are of that crowd alone (`collect-scene.fixture.ts`). */
const CROWD = process.env.BERTH_MODEL_CROWD
export const runs = (usual: number) => Number(process.env.BERTH_MODEL_RUNS ?? usual)

/**
 * So many runs. A model that never pushes or never collects would find nothing wrong: what is rare in them may take some runs more
 * (what happens beside what is the machine's choice, too), until all of it was done as often as so many runs need.
 */
export async function walk(count: number, run: (seed: number) => Promise<Ran>): Promise<void> {
  const sum = nothingYet()
  const lacking = () => (CROWD === undefined ? seldom(sum, count) : {})
  const isDone = (ran: number) => ran >= count && Object.keys(lacking()).length === 0
  for (let ran = 0; ran < 4 * count && !isDone(ran); ran++) {
    const of = await run(SEED + ran)
    for (const key of Object.keys(sum) as (keyof Ran)[]) sum[key] += of[key]
  }
  expect(lacking()).toEqual({})
}

/** What was done too seldom for so many runs. */
function seldom(sum: Ran, count: number): Partial<Ran> {
  const least: Ran = {
    ...{ pushed: count + 1, collected: count / 8, unlinked: count / 8, crashes: count / 20, healed: count / 100 },
    ...{ restored: count / 60, renamed: count / 60, dropped: count / 60, purged: count / 50 },
    // It takes a crash in the midst of one.
    resumed: Math.floor(count / 100),
  }
  const keys = Object.keys(least) as (keyof Ran)[]
  return Object.fromEntries(keys.filter((key) => sum[key] < least[key]).map((key) => [key, sum[key]]))
}

/**
 * One random run. @throws Error with the seed and the last steps when a promise is broken:
 * a push whose blobs were confirmed within most of the delay is refused; what a tag points to is not what the last push,
 * deletion or rename said, or does not pull completely; a manifest goes before its time, or its child or its signature before it;
 * what was deleted cannot be restored within its window; memory answers what the database has not; a verification moves bytes that are
 * whole, or leaves damaged ones in sight, or a push does not bring them back; and in the end, when all delays have passed,
 * anything is there that nothing needs.
 */
export async function runModel(world: World, { seed, operations }: Settings): Promise<Ran> {
  const scene = createScene(world, seed, CROWD === undefined ? undefined : Number(CROWD))
  const { random, below, pick, crowd, isHurried, schedule, ledger, ran } = scene
  const clients = clientsOf(scene)
  const repositories = repositoryClientsOf(scene)
  const caretakers = caretakersOf(scene)
  let program = scene.start()
  const programNow = (): Program => (world.keys === 'never' ? scene.start() : program)

  async function collect(use: Program): Promise<void> {
    const totals = await use.collector.cycle(isHurried ? pick(MODES) : ORDINARY, {
      manifest({ repository, digest }) {
        const image = scene.imageOf.get(digest)
        if (image === undefined) return
        const freed = freeing(scene, repository, [image])
        freed.until = schedule.step
        freed.sparesAfter = ledger.loosenedAt(repository)
      },
    })
    ran.collected += totals.blobs.count
    ran.unlinked += totals.unlinked.count
    if (totals.failures > 0) throw new Error('a candidate failed')
  }

  const OPERATIONS: [number, string, (use: Program) => Promise<void>][] = [
    [30, 'push', clients.push],
    [8, 'abandon', clients.abandon],
    [10, 'pull', clients.pull],
    [8, 'untag', clients.untag],
    [10, 'delete', clients.delete],
    [10, 'restore', clients.restore],
    [3, 'purge', clients.purge],
    [scene.hasPurges ? 8 : 0, 'purge image', purgeImageOf(scene)],
    [8, 'unlink', clients.unlink],
    [6, 'drop', repositories.drop],
    [6, 'restore batch', repositories['restore batch']],
    [3, 'end deletions', repositories['end deletions']],
    [6, 'rename', repositories.rename],
    [3, 'harm', caretakers.harm],
    [3, 'verify', caretakers.verify],
    [45, 'collect', collect],
    [2, 'sweep', async (use) => void (await use.sweep(scene.time - 2 * HOUR))],
    [5, 'expire', async (use) => void (await use.uploads.expire(scene.time - 2 * HOUR))],
  ]
  // In a crowd nothing is rare.
  const dealt = (weight: number) => (crowd === undefined ? weight : weight >= 30 ? 2 : 1)
  const DEALT = OPERATIONS.filter(([, name]) => crowd === undefined || crowd.includes(name)).flatMap((operation) =>
    Array.from({ length: dealt(operation[0]) }, () => operation),
  )

  function begin(): void {
    const [, name, operation] = pick(DEALT)
    schedule.begin(name, () => operation(programNow()))
  }

  function crash(): void {
    ran.crashes++
    ledger.crash()
    schedule.crash()
    program = scene.start()
  }

  async function quiet(): Promise<void> {
    for (; schedule.waiting > 0; schedule.step++) await schedule.happen()
    await schedule.settle()
    if (schedule.running > 0) throw new Error(`${schedule.running} operations wait for nothing`)
    await check(scene, program)
  }

  try {
    for (let left = operations; left > 0 || schedule.waiting > 0; schedule.step++) {
      const roll = random()
      if (left > 0 && schedule.waiting === 0) {
        // What is wrong now may be set right by what comes.
        if (crowd !== undefined && random() < 0.3) await quiet()
        if (random() < 0.6) scene.time += pick(scene.pauses)
        for (let together = 1 + below(4); together > 0 && left > 0; together--, left--) begin()
        await schedule.settle()
      } else if (left > 0 && schedule.running < 4 && roll < 0.1) {
        left--
        begin()
        await schedule.settle()
      } else if (roll < 0.14) {
        scene.time += pick(scene.delays)
      } else if (roll < 0.14 + scene.crashes) {
        crash()
        await schedule.settle()
      } else if (roll < 0.15 + scene.crashes) {
        await quiet()
      } else await schedule.happen()
    }
    await quiet()
    await checkEnd(scene)
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error)
    const last = schedule.trace.slice(-40).join('\n')
    throw new Error(`seed ${seed}, step ${schedule.step}: ${told}\n${last}`, { cause: error })
  }
  return ran
}
