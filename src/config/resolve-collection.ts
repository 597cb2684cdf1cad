import type { GcConfig, TrashConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { parseDuration } from './duration.ts'
import type { Places } from './places.ts'

/** Least time between two cycles: each asks the database. Milliseconds. */
const LEAST_INTERVAL = 100

/** Below it a large push may take longer from a layer, or a child of an index, to the manifest that needs it. Milliseconds. */
const SAFE_DELAY = 10 * 60_000

export function resolveGc(raw: Distribution['gc'], places: Places): GcConfig {
  for (const key of ['delay', 'untagged'] as const) {
    const value = key === 'delay' ? raw.delay : parseDuration(raw.untagged ?? '')
    if (value === undefined || value >= SAFE_DELAY) continue
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
  return { windowMs: raw.window, minFree: resolveFree(raw.minfree ?? '0', places) }
}

const UNITS: Record<string, number> = {
  ...{ '': 1, B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 },
}

function resolveFree(value: string, places: Places): TrashConfig['minFree'] {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*|%)$/.exec(value.trim()) ?? []
  if (amount !== '' && unit === '%' && Number(amount) <= 100) return { percent: Number(amount) }
  const factor = UNITS[unit]
  if (amount !== '' && factor !== undefined) return { bytes: Number(amount) * factor }
  const fix = 'Write bytes such as 2GiB, or a part of the disk such as 5%; 0 leaves the trash alone.'
  places.problem(['trash', 'minfree'], `${JSON.stringify(value)} is no size`, fix)
  return { bytes: 0 }
}
