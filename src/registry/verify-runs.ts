import type { DamagedBlob, Metadata, ScrubState } from '../metadata/metadata.ts'
import type { Finding } from './finding.ts'
import { StoppedError } from './rate.ts'
import type { Verifier, VerifyMode, VerifyProgress } from './verify.ts'

/** A verification that somebody asked for. */
export interface VerifyRun {
  id: string
  mode: VerifyMode
  state: 'running' | 'done' | 'stopped' | 'failed'
  /** Milliseconds since the epoch. */
  startedAt: number
  endedAt: number | undefined
  progress: VerifyProgress
  /** Faults and notes that were found; what of the faults is still wrong. */
  faults: number
  left: number
  notes: number
  /** Why it failed. */
  error: string | undefined
}

export interface VerifyRuns {
  /** Begins one, or answers with undefined while another is under way. */
  start(mode: VerifyMode): VerifyRun | undefined
  /** The one under way, or the last one since the program began. */
  latest(): VerifyRun | undefined
  /** What the latest found, from the one numbered `from` (0 is the first); past some thousand they are only counted. */
  findings(from: number, limit: number): Finding[]
  /** Ends the one under way at its next step. False: there is none. */
  stop(): boolean
  /** When the run under way has ended. */
  idle(): Promise<void>
  scrub(): Promise<ScrubState | undefined>
  damaged(page: Parameters<Metadata['verification']['damaged']>[0]): Promise<DamagedBlob[]>
  affected: Metadata['verification']['affected']
}

/** Findings that memory holds. */
const LISTED = 10_000
/** So many of them with all that they affect, and the others with the first of it. */
const WHOLE = 1_000
const SOME = 5

export function createVerifyRuns(deps: {
  metadata: Metadata
  verifier: Verifier
  now: () => number
  newId: () => string
  /** Of a run that failed. */
  onFailure: (error: unknown) => void
}): VerifyRuns {
  const { metadata, verifier, now, newId, onFailure } = deps
  const { verification } = metadata
  let latest: VerifyRun | undefined
  let findings: Finding[] = []
  let running = Promise.resolve()
  let controller = new AbortController()

  async function perform(run: VerifyRun, signal: AbortSignal): Promise<void> {
    await verifier.run(
      run.mode,
      {
        found(finding) {
          if (finding.severity === 'note') run.notes++
          else {
            run.faults++
            if (finding.outcome !== 'mended') run.left++
          }
          if (findings.length >= LISTED) return
          const affected = finding.affected.slice(0, findings.length < WHOLE ? undefined : SOME)
          findings.push({ ...finding, affected })
        },
        progress(progress) {
          run.progress = { ...progress }
        },
      },
      signal,
    )
  }

  function end(run: VerifyRun, state: VerifyRun['state'], error?: unknown): void {
    run.state = state
    run.endedAt = now()
    if (state !== 'failed') return
    run.error = error instanceof Error ? error.message : String(error)
    onFailure(error)
  }

  return {
    start(mode) {
      if (latest?.state === 'running') return undefined
      const run: VerifyRun = {
        ...{ id: newId(), mode, state: 'running', startedAt: now(), endedAt: undefined, error: undefined },
        ...{ faults: 0, left: 0, notes: 0 },
        progress: { step: '', done: 0, total: undefined, bytes: 0, totalBytes: undefined },
      }
      latest = run
      findings = []
      controller = new AbortController()
      running = perform(run, controller.signal).then(
        () => end(run, 'done'),
        (error: unknown) => end(run, error instanceof StoppedError ? 'stopped' : 'failed', error),
      )
      return run
    },
    latest: () => latest,
    findings: (from, limit) => findings.slice(from, from + limit),
    stop() {
      controller.abort()
      return latest?.state === 'running'
    },
    idle: () => running,
    scrub: () => verification.scrub(),
    damaged: (page) => verification.damaged(page),
    affected: (digest, limit) => verification.affected(digest, limit),
  }
}
