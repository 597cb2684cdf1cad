import type { Affected, DamageReason, RowFault } from '../metadata/metadata.ts'

/**
 * Something that is not as it should be. A `fault` breaks a promise: something cannot be pulled, or space would never come back. A
 * `note` is worth knowing, and nothing is lost by it.
 */
export interface Finding {
  kind: FindingKind
  severity: 'fault' | 'note'
  /** What it is about: `blob sha256:…`, `tag team/app:v1`. */
  what: string
  /** What is wrong with it. */
  detail: string
  /** What cannot be pulled whole because of it: the first of them. */
  affected: readonly Affected[]
  /** `mended`: nothing is wrong any more; `healing`: the next push mends it; `found`: it is as it was. */
  outcome: 'found' | 'healing' | 'mended'
  /** What was done, or why nothing could be done. */
  done: string | undefined
  /** What the operator may do. */
  advice: string | undefined
}

export type FindingKind =
  | RowFault['kind']
  | `blob-${DamageReason}`
  | 'blob-damaged'
  | 'blob-forbidden'
  | 'blob-symlink'
  | 'manifest-damaged'
  | 'manifest-rows'
  | 'reference-missing'
  | 'upload-missing'
  | 'upload-short'
  | 'orphan-blob'
  | 'orphan-upload'
  | 'stranger'
  | 'folder-unreadable'
  | 'quota-wrong'

/** Manifests and tags that a finding names. */
export const AFFECTED = 100

/** `team/app:v1`, or `team/app@sha256:…` where there is no tag. */
export function affectedText({ repository, tag, manifest }: Affected): string {
  return tag === undefined ? `${repository}@${manifest}` : `${repository}:${tag}`
}

/** What to push again, in the words of an advice. */
export function pushAgain(affected: readonly Affected[], when = ''): string | undefined {
  const [first, ...others] = affected
  if (first === undefined) return undefined
  const more = others.length === 0 ? '' : `, and what else is affected`
  return `push ${affectedText(first)} again${more}${when}`
}
