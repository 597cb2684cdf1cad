import type { Digest } from '../oci/digest.ts'
import { emptyMemory, type MemoryContent } from '../storage/memory.ts'
import type { Storage } from '../storage/storage.ts'
import { createLedger, type Disturbance, type Ledger } from './collect-ledger.fixture.ts'
import {
  type BegunDeletions,
  HOUR,
  type Image,
  makeImages,
  openStorage,
  type Program,
  REPOSITORIES,
  seeded,
  startProgram,
  TERMS,
  type World,
} from './collect-model.fixture.ts'
import { createSchedule, type Schedule } from './collect-schedule.fixture.ts'

/** What a run did, so that a test can tell that it did anything. */
export interface Ran {
  pushed: number
  restored: number
  collected: number
  unlinked: number
  crashes: number
  /** Repositories. */
  renamed: number
  dropped: number
  /** Deletions of repositories that a crash had left. */
  resumed: number
  /** Blobs whose bytes a push brought back. */
  healed: number
  /** Manifests that clients took for good. */
  purged: number
}

/** What a run that has not begun did. */
export const nothingYet = (): Ran => ({
  pushed: 0,
  restored: 0,
  collected: 0,
  unlinked: 0,
  crashes: 0,
  renamed: 0,
  dropped: 0,
  resumed: 0,
  healed: 0,
  purged: 0,
})

/** What is random in one run, and what everybody in it shares. */
export interface Scene {
  world: World
  random(): number
  below(limit: number): number
  pick<T>(list: readonly T[]): T
  /** Those that clients choose from, and those that a push can bring. */
  images: readonly Image[]
  used: readonly Image[]
  imageOf: ReadonlyMap<Digest, Image>
  /** Names that clients push to, and all that a rename may give. */
  repositories: readonly string[]
  places: readonly string[]
  /** What the run does little else than; undefined: everything. */
  crowd: readonly string[] | undefined
  /** By how much the clock goes on while nobody does anything, and while they are at work. */
  pauses: readonly number[]
  delays: readonly number[]
  /** A hurried cycle takes at once what a deletion freed: windows and ages mean nothing then. */
  isHurried: boolean
  /** Clients may take what they deleted for good at once, with what it alone needed. */
  hasPurges: boolean
  /** How likely a crash is at each step. */
  crashes: number
  habit: Habit
  schedule: Schedule
  ledger: Ledger
  ran: Ran
  content: MemoryContent
  storage: Storage
  deletions: BegunDeletions
  /** Milliseconds: the clock that the driver steps. */
  time: number
  /** One process, whose calls wait for their turn. */
  start(): Program
  /** One whose calls do not. */
  startUngated(): Program
}

export const TAGS = ['v1', 'v2']

/** How clients push. */
interface Habit {
  /** How likely one asks for a blob before it sends it. */
  asks: number
  /** How long it waits at most before it sends the manifest, in turns of others: they may begin and end meanwhile. */
  rests: number
  /** What it gives an image. */
  tags: readonly (readonly string[])[]
  /** It deletes the tag first: what it sends then is there already, and a manifest without a tag needs it. */
  isRenewing: boolean
}

const USUAL: Habit = { asks: 0.8, rests: 0, tags: [[], ['v1'], ['v2'], ['v1', 'v2']], isRenewing: false }
/** Whoever asks has a blob spared for those who do not, too: here nobody does. */
const SENDING: Habit = { asks: 0, rests: 30, tags: [['v1']], isRenewing: true }

/** What a run does little else than, so that it meets itself. */
interface Crowd {
  operations: readonly string[]
  /** How likely its cycles hurry. */
  hurry: number
  /** The names of the images that it has; without, it is any one. */
  images?: readonly string[]
  /** How likely a crash is at each step. */
  crashes?: number
  /** Without, it is the usual one. */
  habit?: Habit
  /** By how much the clock goes on while they are at work; without, it is any. */
  delays?: readonly number[]
}

/** Half of all runs are one of these. */
const CROWDS: readonly Crowd[] = [
  { operations: ['push', 'abandon', 'collect'], hurry: 0.3 },
  { operations: ['push', 'abandon', 'unlink', 'collect'], hurry: 0.3 },
  { operations: ['push', 'delete', 'restore', 'untag', 'collect'], hurry: 0.3 },
  { operations: ['push', 'delete', 'restore', 'collect'], hurry: 0.9, images: ['index'] },
  { operations: ['push', 'drop', 'restore batch', 'rename', 'collect'], hurry: 0.3, crashes: 0.04 },
  { operations: ['push', 'drop', 'restore batch', 'end deletions', 'restore'], hurry: 0, crashes: 0.06 },
  { operations: ['push', 'drop'], hurry: 0, images: ['index', 'third'], crashes: 0.04 },
  { operations: ['push', 'delete', 'untag', 'purge image'], hurry: 0, images: ['third'] },
  { operations: ['push', 'delete', 'purge image'], hurry: 0, images: ['index', 'first'] },
  {
    ...{ operations: ['push', 'purge image', 'collect'], hurry: 1, images: ['third'], crashes: 0.002 },
    ...{ habit: SENDING, delays: [60_000] },
  },
  { operations: ['push', 'drop', 'restore batch', 'end deletions', 'purge image', 'rename'], hurry: 0, crashes: 0.04 },
  { operations: ['push', 'pull', 'rename', 'untag', 'abandon', 'collect'], hurry: 0.3 },
  { operations: ['push', 'harm', 'verify', 'collect', 'delete'], hurry: 0.6 },
  { operations: ['push', 'abandon', 'harm', 'verify', 'unlink', 'collect'], hurry: 0.3 },
]

/** `only`: of that crowd. */
export function createScene(world: World, seed: number, only?: number): Scene {
  const random = seeded(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
  // Few things, so that operations meet: each run has some of the images, and one repository or both.
  const all = makeImages()
  const crowd = only !== undefined ? CROWDS[only] : random() < 0.5 ? pick(CROWDS) : undefined
  const images = all.filter(({ name }) => (crowd === undefined ? random() < 0.4 : crowd.images?.includes(name)))
  if (images.length === 0) images.push(pick(all))
  // What refers to something does so as a rule to something that is there.
  for (const { subject } of [...images]) if (subject !== undefined && random() < 0.7) images.push(subject)
  const repositories = crowd !== undefined || random() < 0.4 ? REPOSITORIES.slice(0, 1) : REPOSITORIES
  const pauses = pick([
    [HOUR / 2, HOUR, 2 * HOUR],
    [HOUR, 7 * HOUR, TERMS.untagged],
    [TERMS.untagged, TERMS.window / 2, TERMS.window],
  ])
  const delays = crowd?.delays ?? pick([[60_000], [60_000, HOUR / 4, HOUR / 3], [HOUR / 2, HOUR]])
  const isHurried = random() < (crowd?.hurry ?? 0.3)
  const hasPurges = crowd === undefined ? random() < 0.4 : crowd.operations.includes('purge image')
  const schedule = createSchedule(random, { byPriority: random() < 0.6, sideBySide: world.keys === 'never' })
  const content = emptyMemory()
  let ids = 0
  const clock = { now: () => scene.time, newId: () => `id-${++ids}` }
  const storage = openStorage(content, world.keys, clock.now)
  const deletions: BegunDeletions = new Map()
  const scene: Scene = {
    ...{
      world,
      random,
      below,
      pick,
      images,
      repositories,
      crowd: crowd?.operations,
      pauses,
      delays,
      isHurried,
      hasPurges,
      crashes: crowd?.crashes ?? 0.01,
      habit: crowd?.habit ?? USUAL,
      schedule,
      content,
      storage,
      deletions,
    },
    used: [...new Set([...images, ...images.flatMap(({ children }) => children)])],
    imageOf: new Map(all.map((image) => [image.digest, image])),
    // One more, which nobody pushes to before a repository has that name.
    places: [...repositories, 'moved'],
    ledger: createLedger(() => schedule.step),
    ran: nothingYet(),
    time: 1_700_000_000_000,
    start: () => startProgram(world, storage, schedule.gate(), clock, deletions),
    startUngated: () => startProgram(world, storage, (call) => call(), clock, deletions),
  }
  return scene
}

/** What only these need may go at once, where a cycle is in a hurry, or a client purges. */
export function freeing(scene: Scene, repository: string, freed: readonly Image[]): Disturbance {
  const { isHurried, hasPurges, ledger } = scene
  const digests = isHurried || hasPurges ? freed.flatMap(({ blobs }) => blobs.map(({ digest }) => digest)) : []
  return ledger.disturb(repository, digests)
}
