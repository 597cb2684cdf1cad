import { makeImage, pushImage } from '../image.ts'
import { prepareLoad } from './generator.ts'
import { percentile } from './load-spec.ts'
import { type Bench, REPOSITORY, SMALL_MANIFEST } from './part.ts'
import type { Server } from './servers.ts'

const TRICKLE = { connections: 16, perSecond: 150 }
const LAYER = 1024 * 1024
/** Pushes a second: fewer than one connection could make, so that each begins when it is due, whatever the one before took. */
const PUSHES = 4

/** What those saw who pulled and pushed while something else went on. Milliseconds. */
export interface Seen {
  manifests: { p50: number; p99: number }
  /** Of each. */
  pushes: number[]
}

/** Of a steady trickle of GETs, then of as steady pushes, for as many seconds each. Somebody has pushed `SMALL_MANIFEST`. */
export async function bystanders(bench: Bench, { target }: Server, seconds: number, label: string): Promise<Seen> {
  const trickle = await prepareLoad(bench.workplace, {
    kind: 'paced',
    target,
    ...TRICKLE,
    path: SMALL_MANIFEST,
    seconds,
  })
  const { latency: manifests } = await trickle.go()
  if (manifests === undefined) throw new Error('nothing was asked')
  const images = Array.from({ length: seconds * PUSHES }, (_, index) =>
    makeImage({ layers: [LAYER], seed: `${label} ${index}` }),
  )
  const pushes: number[] = []
  const began = performance.now()
  for (const [index, image] of images.entries()) {
    const due = began + (index * 1000) / PUSHES
    await Bun.sleep(Math.max(0, due - performance.now()))
    await pushImage(`http://${target.host}:${target.port}`, REPOSITORY, image, { tag: `${label}-${index}` })
    pushes.push(performance.now() - due)
  }
  return { manifests, pushes }
}

/**
 * Of GETs the median of the turns, of which each has hundreds; of pushes, which are few, the percentile of those of all turns:
 * that of one turn alone would be its slowest push.
 */
export function addBystanders(
  bench: Bench,
  part: string,
  words: Record<'without' | 'during', string>,
  seen: Record<'without' | 'during', readonly Seen[]>,
): void {
  const value = (side: 'without' | 'during', what: keyof Seen, rank: 'p50' | 'p99') =>
    what === 'manifests'
      ? percentile(
          seen[side].map(({ manifests }) => manifests[rank]),
          0.5,
        )
      : percentile(
          seen[side].flatMap(({ pushes }) => pushes),
          rank === 'p50' ? 0.5 : 0.99,
        )
  for (const [what, name] of [
    ['manifests', 'manifest GETs'],
    ['pushes', 'pushes of 1 MiB'],
  ] as const) {
    const add = (text: string, unit: string, figure: number) =>
      bench.figures.add({ part, name: `${name}${text}`, unit }, 'berth', figure)
    for (const rank of ['p50', 'p99'] as const) {
      const [without, during] = [value('without', what, rank), value('during', what, rank)]
      add(` ${words.without}`, `${rank} ms`, without)
      add(` ${words.during}`, `${rank} ms`, during)
      add(`: ${words.during} / ${words.without}`, `× ${rank}`, during / without)
    }
  }
}
