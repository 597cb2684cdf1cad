import type { FileKind } from '../../archive/tar-header.ts'
import type { LayerEntry, LayerSource } from '../../rootfs/layer.ts'
import type { TreeFile } from '../../rootfs/tree.ts'

/** A file as it is shown. */
export interface FileRow {
  /** From the root on. */
  path: string
  type: FileKind | 'whiteout' | 'opaque'
  /** Octal, as chmod takes it; null where no layer says it. */
  mode: string | null
  uid: number
  gid: number
  /** Bytes. */
  size: number
  /** RFC 3339; null where no layer says it. */
  modified: string | null
  /** Target of a link. */
  link: string | null
  /** Digest of the layer it is from, and its number, 1 for the lowest. */
  layer: string | null
  layerNumber: number | null
}

export function rowOf({ path, kind, entry, layer }: TreeFile, sources: readonly LayerSource[]): FileRow {
  const type = entry === undefined || entry.kind === 'link' || kind === 'link' ? kind : entry.kind
  return {
    path: `/${path}`,
    type,
    mode: entry === undefined ? null : entry.mode.toString(8).padStart(4, '0'),
    uid: entry?.uid ?? 0,
    gid: entry?.gid ?? 0,
    size: entry?.size ?? 0,
    modified: timeOf(entry),
    link: type === 'symlink' ? (entry?.link ?? '') : type === 'link' ? `/${entry?.link ?? ''}` : null,
    layer: entry === undefined ? null : (sources[layer]?.digest ?? null),
    layerNumber: entry === undefined ? null : layer + 1,
  }
}

/** A time that a calendar has. */
function timeOf(entry: LayerEntry | undefined): string | null {
  if (entry === undefined || !(Math.abs(entry.modified) < 253_402_300_800)) return null
  return new Date(entry.modified * 1000).toISOString().replace('.000Z', 'Z')
}

export const LONG_TITLES = ['MODE', 'OWNER', 'SIZE', 'MODIFIED', 'LAYER', 'NAME']

const LETTERS: Record<FileRow['type'], string> = {
  ...{ file: '-', directory: 'd', symlink: 'l', link: 'h', character: 'c', block: 'b', fifo: 'p' },
  ...{ whiteout: '-', opaque: '-' },
}

export function longCells(row: FileRow): string[] {
  const arrow = row.link === null ? '' : row.type === 'link' ? ` link to ${row.link}` : ` -> ${row.link}`
  return [
    LETTERS[row.type] + (row.mode === null ? '?????????' : permissions(Number.parseInt(row.mode, 8))),
    `${row.uid}:${row.gid}`,
    String(row.size),
    row.modified ?? '-',
    row.layerNumber === null ? '-' : String(row.layerNumber),
    `${row.path}${row.type === 'directory' && row.path !== '/' ? '/' : ''}${arrow}`,
  ]
}

/** `0755` → `rwxr-xr-x`, as ls has it. */
function permissions(mode: number): string {
  const signs = [...'rwxrwxrwx'].map((sign, index) => ((mode >> (8 - index)) & 1 ? sign : '-'))
  const special: [number, number, string][] = [
    [0o4000, 2, 's'],
    [0o2000, 5, 's'],
    [0o1000, 8, 't'],
  ]
  for (const [bit, at, sign] of special) if (mode & bit) signs[at] = signs[at] === 'x' ? sign : sign.toUpperCase()
  return signs.join('')
}
