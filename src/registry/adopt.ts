import type { AuditRow, Metadata } from '../metadata/metadata.ts'
import { type Fault, isDenied, type Survey, type Tree, type TreePart } from '../storage/tree.ts'
import { type AdoptionRun, adoptBlobs } from './adopt-blobs.ts'
import { dropDeleted } from './adopt-deletions.ts'
import { adoptLinks, adoptManifests, adoptTags, adoptUploads } from './adopt-repository.ts'
import { type AdoptionReport, emptyReport } from './adoption-report.ts'

export interface AdoptionDeps {
  metadata: Metadata
  tree: Tree
  now: () => number
  bootId: string
  /** Bytes free where the rows go. */
  freeBytes: () => number
  /** Who does it, for the audit. */
  by: { account: string; source: string }
  /** Whether the other registry checked that what a manifest names was in its repository. */
  validated: boolean
}

export interface AdoptionOptions {
  /** Changes nothing in the data directory: the rows go to a database that nobody keeps. */
  dryRun: boolean
  /** Hashes every blob. */
  verify: boolean
  onProgress: (progress: AdoptionProgress) => void
  onFault: (fault: Fault) => void
  /** Ends it between two steps, by throwing its reason. */
  signal?: AbortSignal | undefined
}

export interface AdoptionProgress {
  phase: 'looking' | 'blobs' | 'repositories' | 'finishing'
  done: number
  /** 0 while it is not known. */
  total: number
}

/** The directory cannot be adopted as it is; nothing of it was changed. The message says what to do. */
export class AdoptionRefused extends Error {
  /** `denied`: to another user, or with other modes, it could be. */
  readonly reason: 'denied' | 'unusable'

  constructor(reason: 'denied' | 'unusable', message: string) {
    super(message)
    this.name = 'AdoptionRefused'
    this.reason = reason
  }
}

/** Milliseconds: nothing that was adopted goes sooner, so that whoever has to go back finds everything. */
export const GRACE_AFTER_ADOPTION = 7 * 24 * 3_600_000

/**
 * Makes rows of what another registry wrote, without copying a byte, and then puts its tree aside.
 *
 * It may be interrupted at any moment: the tree stays until all rows are durable, the next run walks it again, and what is
 * there already stays as it is. The same makes it see only the difference when the other registry wrote once more.
 * Nothing else may write to the database meanwhile.
 * @throws AdoptionRefused before anything is changed.
 */
export async function adopt(deps: AdoptionDeps, options: AdoptionOptions): Promise<AdoptionReport> {
  const { metadata, tree } = deps
  const report = emptyReport({ dryRun: options.dryRun, verified: options.verify })
  const isExport = tree.isExport()
  const survey = await tree.survey((done) => options.onProgress({ phase: 'looking', done, total: 0 }))
  const run: AdoptionRun = { ...deps, ...options, isExport, report, fault, good: new Set() }
  refuseUnusable(survey, deps, options)

  function fault(found: Fault): void {
    // Whoever may not read it now may later: a run that went past it would leave an image behind.
    if (isDenied(found) && !options.dryRun) throw new AdoptionRefused('denied', deniedText([found.path], 1))
    report.faults[found.kind] = (report.faults[found.kind] ?? 0) + 1
    options.onFault(found)
  }

  let done = 0
  async function walk(
    phase: AdoptionProgress['phase'],
    parts: AsyncIterable<TreePart>,
    take: (part: TreePart) => Promise<number>,
  ): Promise<void> {
    for await (const part of parts) {
      options.signal?.throwIfAborted()
      done += await take(part)
      options.onProgress({ phase, done: Math.min(done, survey.files), total: survey.files })
    }
  }

  await walk('blobs', tree.blobs(), (part) => takePart(run, part))
  await walk('repositories', tree.repositories(), (part) => takePart(run, part))
  options.onProgress({ phase: 'finishing', done: survey.files, total: survey.files })
  if (isExport) await dropDeleted(run)
  const due = deps.now() + GRACE_AFTER_ADOPTION
  let cursor = await metadata.adoption.review(undefined, due)
  while (cursor !== undefined) cursor = await metadata.adoption.review(cursor, due)
  const unreferenced = await metadata.adoption.unreferenced()
  report.found.unreferencedBlobs = unreferenced.blobs
  report.found.unreferencedBytes = unreferenced.bytes
  await metadata.adoption.finish(recordOf(report, deps))
  if (!options.dryRun) report.retired = await tree.retire()
  return report
}

/** Resolves to how many units of the survey it was. */
async function takePart(run: AdoptionRun, part: TreePart): Promise<number> {
  switch (part.kind) {
    case 'blobs':
      await adoptBlobs(run, part.blobs)
      return part.blobs.length
    case 'repository':
      run.report.found.repositories++
      await run.metadata.adoption.links(part.repository, [], run.now())
      return 0
    case 'layers':
      await adoptLinks(run, part.repository, part.links)
      return part.links.length
    case 'revisions':
      await adoptManifests(run, part.repository, part.links)
      return part.links.length
    case 'tags':
      await adoptTags(run, part.repository, part.tags)
      return part.tags.length
    case 'uploads':
      await adoptUploads(run, part.repository, part.uploads)
      return part.uploads.length
    case 'faults':
      for (const fault of part.faults) run.fault(fault)
      return 0
  }
}

function recordOf({ found, changed }: AdoptionReport, { by, now }: AdoptionDeps): AuditRow {
  return {
    at: now(),
    kind: 'change',
    account: by.account,
    source: by.source,
    address: '',
    service: '',
    asked: 'adoption',
    granted: '',
    rules: '',
    outcome: 'done',
    detail: `images of registry:2 adopted: ${found.repositories} repositories, ${changed.manifests} manifests and ${changed.tags} tags are new`,
  }
}

function refuseUnusable(
  { obstacles, denied, rowBytes }: Survey,
  { freeBytes }: AdoptionDeps,
  { dryRun }: AdoptionOptions,
): void {
  if (dryRun) {
    // What may not be read is told when it is met.
    return
  }
  if (obstacles.length > 0) throw new AdoptionRefused('unusable', obstacles.join('\n'))
  if (denied.count > 0) throw new AdoptionRefused('denied', deniedText(denied.paths, denied.count))
  const free = freeBytes()
  if (free < rowBytes) {
    throw new AdoptionRefused(
      'unusable',
      `the database needs about ${mebibytes(rowBytes)} MiB for it, and ${mebibytes(free)} MiB are free: make room, then start again`,
    )
  }
}

function deniedText(paths: readonly string[], count: number): string {
  const more = count > paths.length ? `\n  and ${count - paths.length} more` : ''
  return `this user may not read, or not write, what registry:2 left there:\n  ${paths.join('\n  ')}${more}`
}

function mebibytes(bytes: number): number {
  return Math.ceil(bytes / 1024 / 1024)
}
