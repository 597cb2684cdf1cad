import { parseSize } from '../oci/size.ts'
import type { FreeSpaceLimit, GcConfig, SpaceConfig, TrashConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { parseDuration } from './duration.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { refuseUnitless } from './span.ts'

/** Least time between two cycles: each asks the database. Milliseconds. */
const LEAST_INTERVAL = 100

/** Below it a large push may take longer from a layer, or a child of an index, to the manifest that needs it. Milliseconds. */
const SAFE_DELAY = 10 * 60_000

export function resolveGc(raw: Distribution['gc'], places: Places): GcConfig {
  for (const key of ['delay', 'untagged'] as const) {
    const value = key === 'delay' ? raw.delay : parseDuration(raw.untagged ?? '')
    if (value === undefined || value >= SAFE_DELAY) continue
    refuseUnitless(value, ['gc', key], places)
    const fix = 'Write 10m or more; berth gc run --now takes what deletions freed without waiting.'
    places.warn(
      ['gc', key],
      'is shorter than a push may take: what it has stored may go before its manifest comes',
      fix,
    )
  }
  return {
    enabled: raw.enabled,
    delayMs: raw.delay,
    untagged: resolveUntagged(raw.untagged ?? 'keep', places),
    intervalMs: Math.max(raw.interval, LEAST_INTERVAL),
    workers: raw.workers,
  }
}

function resolveUntagged(value: string, places: Places): GcConfig['untagged'] {
  if (value === 'keep') return 'keep'
  const age = parseDuration(value)
  if (age !== undefined && age >= 0) return age
  places.problem(['gc', 'untagged'], `${JSON.stringify(value)} is no duration`, 'Write one such as 168h, or keep.')
  return 'keep'
}

export function resolveTrash(raw: Distribution['trash'], places: Places): TrashConfig {
  refuseUnitless(raw.window, ['trash', 'window'], places)
  const minFree = resolveFree(raw.minfree ?? '0', ['trash', 'minfree'], '0 leaves the trash alone', places)
  return { windowMs: raw.window, minFree }
}

/** `trash`: what pushes are refused for should have emptied the trash before. */
export function resolveSpace(raw: Distribution['space'], trash: TrashConfig, places: Places): SpaceConfig {
  const minFree = resolveFree(raw.minfree ?? '0', ['space', 'minfree'], '0 refuses no push', places)
  if (isBelow(trash.minFree, minFree)) {
    const fix = 'Make it smaller than trash.minfree, or set trash.minfree: 0.'
    places.warn(['space', 'minfree'], 'is more than trash.minfree: pushes are refused before the trash is emptied', fix)
  }
  const reserve = parseSize(raw.reserve ?? '0')
  if (reserve === undefined) {
    const message = `${JSON.stringify(raw.reserve)} is no number of bytes`
    places.problem(['space', 'reserve'], message, 'Write one such as 64MiB; 0 sets nothing aside.')
  }
  return { minFree, reserveBytes: Math.floor(reserve ?? 0) }
}

/** Whether the trash's limit is one, and surely less. */
function isBelow(trash: FreeSpaceLimit, floor: FreeSpaceLimit): boolean {
  if ('bytes' in trash && 'bytes' in floor) return trash.bytes > 0 && trash.bytes < floor.bytes
  if ('percent' in trash && 'percent' in floor) return trash.percent > 0 && trash.percent < floor.percent
  return false
}

function resolveFree(value: string, path: Path, zero: string, places: Places): FreeSpaceLimit {
  const [, percent = ''] = /^(\d+(?:\.\d+)?)\s*%$/.exec(value.trim()) ?? []
  if (percent !== '' && Number(percent) <= 100) return { percent: Number(percent) }
  const bytes = parseSize(value)
  if (bytes !== undefined) return { bytes }
  const fix = `Write bytes such as 2GiB, or a part of the disk such as 5%; ${zero}.`
  places.problem(path, `${JSON.stringify(value)} is no size`, fix)
  return { bytes: 0 }
}
