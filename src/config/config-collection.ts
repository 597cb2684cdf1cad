import type { RetentionRule } from '../oci/retention-rule.ts'

/** How long things that nobody needs are kept, and how much room there has to be. Part of `Config`. */

export interface GcConfig {
  enabled: boolean
  /** Milliseconds that a blob waits which no manifest needs. */
  delayMs: number
  /** Milliseconds that a manifest waits which has no tag. */
  untagged: 'keep' | number
  intervalMs: number
  /** Candidates that are looked at side by side. */
  workers: number
}

export interface TrashConfig {
  /** Milliseconds in which what was deleted can be restored. */
  windowMs: number
  /** Free space below which the trash is emptied, the oldest first. */
  minFree: FreeSpaceLimit
}

/** Of a file system: so many bytes, or a part of it. */
export type FreeSpaceLimit = { bytes: number } | { percent: number }

export interface SpaceConfig {
  /** Free space below which pushes are refused. */
  minFree: FreeSpaceLimit
  /** Bytes that are set aside for deletions on a full disk; 0 for none. */
  reserveBytes: number
}

export interface VerifyConfig {
  /** Bytes a second; undefined: as many as it can. */
  rate: number | undefined
  scrub: {
    enabled: boolean
    /** Milliseconds from the beginning of one pass to that of the next. */
    everyMs: number
    /** Bytes a second. */
    rate: number
  }
  /** Milliseconds that damaged bytes are kept. */
  quarantineMs: number
}

export interface BackupConfig {
  /** Daily copies of the database; `keep`: how many. */
  database: { enabled: boolean; keep: number }
}

export interface RetentionConfig {
  /** Whether the rules are carried out by themselves. */
  enabled: boolean
  intervalMs: number
  /** What images say of their own end, under these annotations and labels. */
  expiry: { enabled: boolean; names: string[] }
  rules: RetentionRule[]
}
