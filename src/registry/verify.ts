import type { Metadata } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { Storage } from '../storage/storage.ts'
import type { Blobs } from './blobs.ts'
import type { Finding } from './finding.ts'
import type { Manifests } from './manifests.ts'
import { createRate, StoppedError } from './rate.ts'
import type { Uploads } from './uploads.ts'
import type { Policy } from './validation.ts'
import { createBlobChecks } from './verify-blobs.ts'
import { checkManifests, checkRows } from './verify-rows.ts'
import { checkStorage, checkUploads } from './verify-storage.ts'

export interface VerifyMode {
  /** Every blob is hashed. */
  deep: boolean
  /** What can be set right is. */
  repair: boolean
  /** Bytes a second that are read; undefined: as fast as it goes. */
  rate: number | undefined
}

export const VERIFY_STEPS = ['rows', 'manifests', 'blobs', 'uploads', 'files'] as const

export interface VerifyProgress {
  step: (typeof VERIFY_STEPS)[number] | string
  /** Rows or files of this step that were looked at. */
  done: number
  /** Of how many, where that is known. */
  total: number | undefined
  /** Bytes that were hashed, of how many. */
  bytes: number
  totalBytes: number | undefined
}

/** A step that some other part of the registry adds: what it keeps beside the rows of this one. */
export interface ExtraCheck {
  name: string
  run(options: { deep: boolean; repair: boolean; onRows: (count: number) => void }): AsyncIterable<Finding>
}

/** Looks at everything that the registry keeps, in both directions. */
export interface Verifier {
  /** @throws StoppedError once the signal is aborted. */
  run(mode: VerifyMode, events: VerifyEvents, signal: AbortSignal): Promise<void>
}

export interface VerifyEvents {
  found(finding: Finding): void
  progress(progress: VerifyProgress): void
}

/** Rows that one look takes. */
const PORTION = 500

export function createVerifier(deps: {
  metadata: Metadata
  storage: Storage
  blobs: Pick<Blobs, 'collecting'>
  manifests: Pick<Manifests, 'forgetAll'>
  uploads: Pick<Uploads, 'cancel' | 'forgetStray' | 'isBusy'>
  policy: () => Policy
  /** Milliseconds after which a file that no row knows belongs to no upload any more. */
  uploadAge: () => number
  now: () => number
  extra?: readonly ExtraCheck[]
}): Verifier {
  const { metadata, uploadAge, now, extra = [] } = deps
  const checks = createBlobChecks(deps)

  async function* checkBlobs(
    { deep, repair, rate }: VerifyMode,
    onBlob: () => void,
    onBytes: (count: number) => void,
    signal: AbortSignal,
  ): AsyncIterable<Finding> {
    const wait = createRate(rate, signal)
    const heard = async (count: number) => {
      onBytes(count)
      await wait(count)
    }
    for (let last: Digest | undefined; ; ) {
      const rows = await metadata.verification.blobs({ last, limit: PORTION })
      const end = rows.at(-1)
      if (end === undefined) return
      yield* checks.check(rows, { repair, onBlob, onBytes: deep ? heard : undefined })
      last = end.digest
    }
  }

  return {
    async run(mode, { found, progress }, signal) {
      const { repair } = mode
      const totals = await metadata.status.totals()
      const current: VerifyProgress = {
        ...{ step: '', done: 0, total: undefined, bytes: 0 },
        totalBytes: mode.deep ? totals.blobBytes : undefined,
      }
      const onRows = (count: number) => {
        if (signal.aborted) throw new StoppedError()
        current.done += count
        progress(current)
      }
      const onBytes = (count: number) => {
        current.bytes += count
        progress(current)
      }
      const steps: [VerifyProgress['step'], number | undefined, () => AsyncIterable<Finding>][] = [
        ['rows', undefined, () => checkRows({ ...deps, checks }, { repair, onRows })],
        ['manifests', totals.manifests, () => checkManifests({ ...deps, checks }, { repair, onRows })],
        ['blobs', totals.blobs, () => checkBlobs(mode, () => onRows(1), onBytes, signal)],
        ['uploads', undefined, () => checkUploads(deps, { repair, onRows })],
        ['files', totals.blobs, () => checkStorage(deps, { repair, before: now() - uploadAge(), onFiles: onRows })],
        ...extra.map(
          ({ name, run }) =>
            [name, undefined, () => run({ deep: mode.deep, repair, onRows })] satisfies [
              string,
              undefined,
              () => AsyncIterable<Finding>,
            ],
        ),
      ]
      for (const [step, total, check] of steps) {
        Object.assign(current, { step, done: 0, total })
        progress(current)
        for await (const finding of check()) {
          if (signal.aborted) throw new StoppedError()
          found(finding)
        }
        if (signal.aborted) throw new StoppedError()
      }
    },
  }
}
