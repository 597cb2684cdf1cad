import type { DataFacts } from './data-facts.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import type { ServerFacts } from './server-facts.ts'
import { change, shellText } from './settings.ts'

const MIB = 1024 * 1024
/** Less than a layer of any size. */
const FULL = 100 * MIB
const SCARCE = 1024 * MIB
/** Of the disk. */
const SCARCE_SHARE = 0.05
/** Files that can still be made; a push makes some for each layer. */
const FEW_FILES = 100

/** Whether the registry can write what is pushed. */
export function checkStorage({ data, settings, minFree }: ServerFacts): Finding[] {
  if (data === undefined) return []
  const found = [...checkAccess(data, settings), ...checkSpace(data, settings, minFree)]
  if (found.length > 0) return found
  const free = data.free === undefined ? '' : `, ${sizeText(data.free.bytes)} are free`
  return [
    fine(
      'storage',
      data.directory,
      `${data.exists ? 'may be written by this user' : 'is not there yet and can be made'}${free}`,
    ),
  ]
}

const ROOT = ['storage', 'filesystem', 'rootdirectory']

function checkAccess({ directory, unwritable, user, exists }: DataFacts, settings: ServerFacts['settings']): Finding[] {
  if (unwritable === undefined) return []
  const { path, code } = unwritable
  if (code === 'ENOTDIR') {
    const place = path === directory ? 'where the data directory should be' : `so ${directory} cannot be made`
    const message = `${path} is a file, ${place}: the registry does not start`
    return [
      fault('data-not-writable', path, message, change(settings, ROOT, 'a directory, which need not be there yet')),
    ]
  }
  const isReadOnly = code === 'EROFS'
  const reason = isReadOnly
    ? 'is on a file system that is mounted read-only'
    : `may not be written by this user (${user ?? 'unknown'})`
  const message = `${path} ${reason}${exists ? '' : `, so ${directory} cannot be made`}: pushes fail with \`500 Internal Server Error\``
  const fix = isReadOnly
    ? `mount -o remount,rw ${shellText(path)}`
    : `chown -R ${user ?? 'USER'} ${shellText(path)}  (the user that the registry runs as)`
  return [
    fault(
      'data-not-writable',
      path,
      message,
      fix,
      `or ${change(settings, ROOT, 'a directory that the registry may write')}`,
    ),
  ]
}

function checkSpace(
  { directory, free }: DataFacts,
  settings: ServerFacts['settings'],
  minFree: ServerFacts['minFree'],
): Finding[] {
  if (free === undefined) return []
  const place = shellText(directory)
  const fix = [
    `berth gc run --now --data ${place}  (registry:2: garbage-collect, while nobody pushes)`,
    `or ${change(settings, ROOT, 'a directory on a larger disk')}`,
  ]
  const of = `${sizeText(free.bytes)} of ${sizeText(free.total)} are free on the disk of ${directory}`
  if (free.bytes < FULL)
    return [fault('disk-full', directory, `${of}: pushes fail with \`no space left on device\``, ...fix)]
  if (free.files !== undefined && free.files < FEW_FILES) {
    const message = `the disk of ${directory} can take ${free.files} more files (inodes): pushes fail with \`no space left on device\``
    return [fault('disk-full', directory, message, ...fix)]
  }
  const floor = floorOf(minFree, free.total)
  if (free.bytes < floor) {
    const smaller = `or ${change(settings, ['space', 'minfree'], '64MiB')}`
    const message = `${of}: Berth refuses pushes below ${sizeText(floor)} (space.minfree), \`the disk of the registry is nearly full\``
    return [fault('disk-full', directory, message, ...fix, smaller)]
  }
  const isScarce = free.bytes < SCARCE || free.bytes < free.total * SCARCE_SHARE
  return isScarce ? [warning('disk-full', directory, of, ...fix)] : []
}

function floorOf(minFree: ServerFacts['minFree'], total: number): number {
  if (minFree === undefined) return 0
  return 'bytes' in minFree ? minFree.bytes : (total * minFree.percent) / 100
}

export function sizeText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  const value = bytes / 1024 ** step
  return `${value >= 10 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`
}
