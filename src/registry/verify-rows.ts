import type { ManifestRows, Metadata, RowCheck, RowCursor, RowFault } from '../metadata/metadata.ts'
import { algorithmOf, digestOf } from '../oci/digest.ts'
import { RegistryError } from '../oci/error.ts'
import { type Manifest, parseManifest } from '../oci/manifest.ts'
import { AFFECTED, type Finding, pushAgain } from './finding.ts'
import type { Manifests } from './manifests.ts'
import { type Policy, referencesOf } from './validation.ts'
import type { BlobChecks } from './verify-blobs.ts'

/** Rows that one look takes: a few milliseconds of the database's thread, between which pushes go on. */
const PORTION = 500

/** What brings a holder back comes before what is held by nobody. */
const ORDER: readonly RowCheck[] = [
  ...(['holds', 'references', 'links', 'tags', 'manifests', 'repositories', 'graves', 'blobs'] as const),
]

interface Deps {
  metadata: Metadata
  checks: BlobChecks
  manifests: Pick<Manifests, 'forgetAll'>
  policy: () => Policy
  now: () => number
}

interface Options {
  repair: boolean
  onRows: (count: number) => void
}

/** Rows against each other. */
export async function* checkRows(deps: Deps, { repair, onRows }: Options): AsyncIterable<Finding> {
  const { verification } = deps.metadata
  for (const check of ORDER) {
    for (let after: RowCursor | undefined; ; ) {
      const { faults, rows, next } = await verification.rows(check, after, PORTION)
      for (const fault of faults) yield await rowFinding(deps, fault, repair)
      onRows(rows)
      if (next === undefined) break
      after = next
    }
  }
}

async function rowFinding(deps: Deps, fault: RowFault, repair: boolean): Promise<Finding> {
  const { metadata, checks, manifests, now } = deps
  const { what, detail, severity } = describe(fault)
  const affected =
    'digest' in fault && AFFECTS.has(fault.kind) ? await metadata.verification.affected(fault.digest, AFFECTED) : []
  const finding = { kind: fault.kind, severity, what, detail, affected }
  if (!repair) return { ...finding, outcome: 'found', done: undefined, advice: 'berth verify --repair' }
  const isMended =
    fault.kind === 'link-without-blob'
      ? await checks.recover(fault.digest)
      : await metadata.verification.mend(fault, now())
  if (isMended === 'forbidden') {
    const done = 'the system does not let berth read the folder of its bytes'
    return {
      ...finding,
      outcome: 'found',
      done,
      advice: 'give the folder back to the user that berth runs as, and repair again',
    }
  }
  if (isMended) {
    manifests.forgetAll()
    return { ...finding, outcome: 'mended', done: 'set right', advice: undefined }
  }
  // Somebody else may have set it right, and then it is no fault any more.
  const advice = pushAgain(affected) ?? 'push again what needs it'
  if (fault.kind === 'link-without-blob' || fault.kind === 'link-missing') {
    return { ...finding, outcome: 'healing', done: 'nothing tells where its bytes are', advice }
  }
  return { ...finding, outcome: 'mended', done: 'it was set right meanwhile', advice: undefined }
}

/** Those that make something unpullable. */
const AFFECTS = new Set<RowFault['kind']>(['link-without-blob', 'link-missing', 'hold-missing', 'blob-discarded'])

function describe(fault: RowFault): { what: string; detail: string; severity: Finding['severity'] } {
  switch (fault.kind) {
    case 'link-without-blob':
      return broken(`blob ${fault.digest}`, `${fault.repository} has it, and its row is lost`)
    case 'link-missing':
      return broken(
        `blob ${fault.digest}`,
        `${fault.repository}@${fault.manifest} needs it, and ${fault.repository} lost it`,
      )
    case 'hold-missing':
      return broken(
        `blob ${fault.digest}`,
        `${fault.repository}@${fault.manifest} names it, and does not keep it from being collected`,
      )
    case 'blob-discarded':
      return broken(`blob ${fault.digest}`, `is in use, and its bytes are about to be unlinked (${fault.key})`)
    case 'tag-without-manifest':
      return broken(`tag ${fault.repository}:${fault.tag}`, 'points to a manifest that is not there')
    case 'repository-listed':
      return broken(
        `repository ${fault.repository}`,
        fault.listed ? 'is in the catalog, and has no manifest' : 'has manifests, and is not in the catalog',
      )
    case 'grave-without-blob':
      return note(
        `manifest ${fault.repository}@${fault.manifest}`,
        `is in the trash, and its blob ${fault.digest} is lost: restored, it would not be whole`,
      )
    case 'link-unreviewed':
      return note(
        `blob ${fault.digest}`,
        `nothing in ${fault.repository} needs it, and it would never be collected there`,
      )
    case 'manifest-unreviewed':
      return note(`manifest ${fault.repository}@${fault.digest}`, 'nothing needs it, and it would never be collected')
    case 'blob-unheld':
      return note(`blob ${fault.digest}`, 'no repository has it, and it would never be collected')
    case 'blob-undiscarded':
      return note(`blob ${fault.digest}`, 'is being deleted, and its bytes would never be unlinked')
  }
}

const broken = (what: string, detail: string) => ({ what, detail, severity: 'fault' as const })
const note = (what: string, detail: string) => ({ what, detail, severity: 'note' as const })

/** Manifests: their bytes against their digests, and their rows against their bytes. */
export async function* checkManifests(deps: Deps, { repair, onRows }: Options): AsyncIterable<Finding> {
  const { verification } = deps.metadata
  for (let after = 0; ; ) {
    const page = await verification.manifests(after, PORTION)
    const last = page.at(-1)
    if (last === undefined) return
    for (const row of page) yield* checkManifest(deps, row, repair)
    onRows(page.length)
    after = last.id
  }
}

async function* checkManifest(deps: Deps, row: ManifestRows, repair: boolean): AsyncIterable<Finding> {
  const { metadata, policy } = deps
  if (digestOf(row.bytes, algorithmOf(row.digest)) !== row.digest) {
    yield await damagedManifest(deps, row, repair)
    return
  }
  const manifest = parsed(row)
  if (manifest === undefined) return
  const required = requiredBy(manifest, policy())
  if (!differs(row, manifest) && missingOf(row, required).length === 0) return
  // A page takes several queries: what looks wrong is read once more, alone.
  const [again] = await metadata.verification.manifests(row.id - 1, 1)
  if (again?.id !== row.id || again.digest !== row.digest) return
  const what = `manifest ${row.repository}@${row.digest}`
  let isDifferent = differs(again, manifest)
  if (isDifferent) {
    const affected = await metadata.verification.affected(row.digest, AFFECTED)
    const detail = 'its rows do not tell what its bytes say'
    const finding = { kind: 'manifest-rows', severity: 'fault', what, detail, affected } as const
    if (repair) {
      const { digest, repository } = row
      await metadata.verification.rederive(repository, digest, factsOf(manifest), deps.now())
      deps.manifests.forgetAll()
      yield { ...finding, outcome: 'mended', done: 'they were written anew', advice: undefined }
    } else yield { ...finding, outcome: 'found', done: undefined, advice: 'berth verify --repair' }
    isDifferent = !repair
  }
  if (isDifferent) return
  const [now] = await metadata.verification.manifests(row.id - 1, 1)
  if (now?.id !== row.id) return
  for (const { digest, kind } of missingOf(now, required)) {
    const affected = await metadata.verification.affected(row.digest, AFFECTED)
    yield {
      kind: 'reference-missing',
      // A client may delete a child of an index by its name.
      severity: kind === 'blob' ? 'fault' : 'note',
      what,
      detail: `needs the ${kind} ${digest}, which ${row.repository} does not have`,
      affected,
      ...{ outcome: 'healing', done: undefined, advice: pushAgain(affected) },
    }
  }
}

async function damagedManifest(deps: Deps, row: ManifestRows, repair: boolean): Promise<Finding> {
  const { metadata, manifests, now } = deps
  const { repository, digest, bytes } = row
  const affected = await metadata.verification.affected(digest, AFFECTED)
  const detail = bytes.byteLength === 0 ? 'is known to be damaged' : 'its bytes are not those of its digest'
  const finding = {
    ...({
      kind: 'manifest-damaged',
      severity: 'fault',
      what: `manifest ${repository}@${digest}`,
      detail,
      affected,
    } as const),
  }
  const advice = pushAgain(affected)
  if (!repair) {
    const first =
      bytes.byteLength === 0 ? advice : `berth verify --repair${advice === undefined ? '' : `; then ${advice}`}`
    return { ...finding, outcome: bytes.byteLength === 0 ? 'healing' : 'found', done: undefined, advice: first }
  }
  const outcome = await metadata.verification.mendManifest(repository, digest, now())
  manifests.forgetAll()
  if (outcome !== 'damaged') {
    return { ...finding, outcome: 'mended', done: 'a copy that is whole took their place', advice: undefined }
  }
  return {
    ...finding,
    outcome: 'healing',
    done: 'clients are told that it is not here; its tags stay, and the next push brings it back',
    advice,
  }
}

/** Undefined for a manifest of a kind that is only kept. */
function parsed({ bytes, mediaType }: ManifestRows): Manifest | undefined {
  try {
    return parseManifest(bytes, mediaType)
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

function requiredBy(manifest: Manifest, policy: Policy): Set<string> {
  try {
    const references = referencesOf(manifest, policy)
    return new Set(references.flatMap(({ digest, kind, required }) => (required ? [`${kind} ${digest}`] : [])))
  } catch (error) {
    // An address that is not allowed now, and was when the manifest came.
    if (error instanceof RegistryError) return new Set()
    throw error
  }
}

const NO_POLICY: Policy = { enabled: false, classes: [], allowsUrl: () => true, requiresChild: () => false }

function factsOf(manifest: Manifest) {
  const { config, layers, manifests, subject, artifactType, annotations } = manifest
  // As `referencesOf` has them, whatever the addresses of layers are.
  const plain = { ...manifest, layers: layers.map(({ urls: _, ...layer }) => layer), config, manifests }
  const references = referencesOf(plain, NO_POLICY).map(({ digest, kind }) => ({ digest, kind }))
  return { references, subject: subject?.digest, artifactType, annotations }
}

function differs(row: ManifestRows, manifest: Manifest): boolean {
  const facts = factsOf(manifest)
  const named = new Set(facts.references.map(({ kind, digest }) => `${kind} ${digest}`))
  return (
    row.references.length !== named.size ||
    row.references.some(({ kind, digest }) => !named.has(`${kind} ${digest}`)) ||
    row.subject !== facts.subject ||
    row.artifactType !== facts.artifactType ||
    JSON.stringify(row.annotations) !== JSON.stringify(facts.annotations)
  )
}

function missingOf(row: ManifestRows, required: ReadonlySet<string>) {
  const present = new Set(row.references.flatMap(({ digest, isThere }) => (isThere ? [digest] : [])))
  return row.references.filter(({ digest, kind }) => !present.has(digest) && required.has(`${kind} ${digest}`))
}
