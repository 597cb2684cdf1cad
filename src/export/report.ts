import type { Digest } from '../oci/digest.ts'

/** Something that whoever runs the export should know of. */
export interface Finding {
  kind: /** The bytes of a blob are not in the data directory, or are of another size. */
    | 'missing-bytes'
    /** Two repositories, or a repository and a file of the layout, would share a path. */
    | 'path-taken'
    /** What was selected is not there. */
    | 'not-found'
    /** The original calls the manifest by another media type, for its bytes name none. */
    | 'media-type'
    /** The original serves it, but does not take it when it is pushed again. */
    | 'sha512'
    /** The original has no referrers API: clients find it by its digest, or by a fallback tag if there is one. */
    | 'referrer'
    /** Written as an OCI manifest, under another digest; the one that was pushed is beside it. */
    | 'converted'
  repository: string
  /** A digest or a tag. */
  reference: string
  detail: string
}

/** Kinds that make an export incomplete. */
const PROBLEMS: ReadonlySet<Finding['kind']> = new Set(['missing-bytes', 'path-taken', 'not-found'])

/** Findings of a kind that are listed; all are counted. */
const LISTED = 100

/** What an export did; with a dry run, what it would do. Bytes that a file system shares count as linked. */
export interface Report {
  layout: 'distribution' | 'oci'
  /** Absolute. */
  directory: string
  inPlace: boolean
  dryRun: boolean
  repositories: number
  tags: number
  manifests: number
  /** Links of blobs in repositories; a blob of two repositories counts twice here, and once below. */
  blobs: number
  /** Files and bytes that were given a second name, copied, or found in place from an earlier run. */
  linked: Amount
  copied: Amount
  present: Amount
  problems: number
  counts: Partial<Record<Finding['kind'], number>>
  /** The first of each kind. */
  findings: Finding[]
}

export interface Amount {
  files: number
  bytes: number
}

export function createReport(head: Pick<Report, 'layout' | 'directory' | 'inPlace' | 'dryRun'>): Report {
  const none = () => ({ files: 0, bytes: 0 })
  return {
    ...head,
    repositories: 0,
    tags: 0,
    manifests: 0,
    blobs: 0,
    linked: none(),
    copied: none(),
    present: none(),
    problems: 0,
    counts: {},
    findings: [],
  }
}

export function note(report: Report, finding: Finding): void {
  const count = (report.counts[finding.kind] ?? 0) + 1
  report.counts[finding.kind] = count
  if (PROBLEMS.has(finding.kind)) report.problems++
  if (count <= LISTED) report.findings.push(finding)
}

export function isProblem({ kind }: Finding): boolean {
  return PROBLEMS.has(kind)
}

export function missingBytes(repository: string, digest: Digest, detail: string): Finding {
  return { kind: 'missing-bytes', repository, reference: digest, detail }
}
