import type { FileChange } from '../../rootfs/diff-trees.ts'
import type { LayerSource } from '../../rootfs/layer.ts'
import { bytesText } from '../progress.ts'
import { type FileRow, rowOf } from './file-row.ts'

export const SIGNS = { added: '+', removed: '-', changed: '~', shared: '=' }

/** For people: `~ /etc/app.conf  content (12 → 13 bytes)`. */
export function changeLine({ path, change, ways, before, after }: FileChange): string {
  const file = after ?? before
  const name = `${SIGNS[change]} /${path}${file?.kind === 'directory' ? '/' : ''}`
  const link = file?.kind === 'symlink' ? `  -> ${file.entry?.link ?? ''}` : ''
  if (change === 'changed') return `${name}  ${ways.join(', ')}`
  return `${name}${file?.kind === 'file' ? `  ${bytesText(file.entry?.size ?? 0)}` : link}`
}

/** A change for programs. */
export interface ChangeRow {
  change: FileChange['change']
  /** Path, from the root on. */
  name: string
  ways: string[]
  before: FileRow | null
  after: FileRow | null
}

export function changeRow(
  { path, change, ways, before, after }: FileChange,
  old: readonly LayerSource[],
  now: readonly LayerSource[],
): ChangeRow {
  return {
    ...{ change, name: `/${path}`, ways },
    before: before === undefined ? null : rowOf(before, old),
    after: after === undefined ? null : rowOf(after, now),
  }
}
