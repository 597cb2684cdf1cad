import type { Digest } from '../../oci/digest.ts'
import { UpstreamError } from '../../upstream/error.ts'
import type { Purged } from '../../upstream/purge.ts'
import { formatImage, type ImageReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { bytesText, counted } from '../progress.ts'
import type { ClientContext } from './context.ts'
import { lines } from './output.ts'

/** Whether the registry gives space back when it is asked to. */
export type PurgeResult = 'purged' | 'unsupported'

const WHY: Readonly<Record<string, string>> = {
  'named-in-trash': 'an index in the trash names it, and would come back without it',
  'in-use': 'a tag or another manifest needs it',
  'another-deletion': 'another deletion left it, with which (or by its own digest) it can be purged',
  busy: 'a push is at work there; the collector takes it later',
}

/** After the deletion of a manifest, or of its last tag: nothing brings it back, and its space is free. Says what went, and what stays. */
export async function purge(
  context: ClientContext,
  upstream: Upstream,
  image: ImageReference,
  { digest, told }: { digest: Digest; told: readonly string[] },
): Promise<PurgeResult> {
  const outcome = await upstream.purge(image, digest)
  if (outcome.kind === 'unsupported') return 'unsupported'
  if (outcome.kind === 'nothing') {
    const isThere = (await upstream.head(image, digest)) !== undefined
    const why = isThere
      ? 'stays: a tag, an index or its subject needs it, or somebody pushed it since'
      : 'is gone for good already'
    context.error(lines([`${formatImage({ ...image, tag: undefined, digest })} ${why}.`]))
    return 'purged'
  }
  tell(context, image, outcome, told)
  return 'purged'
}

/** What was deleted before, and can be restored still. Resolves to whether there was any. */
export async function purgeTrashed(
  context: ClientContext,
  upstream: Upstream,
  image: ImageReference & { digest: Digest },
): Promise<boolean> {
  const outcome = await upstream.purge(image, image.digest)
  if (outcome.kind !== 'purged') return false
  tell(context, image, outcome, [])
  return true
}

function tell(context: ClientContext, image: ImageReference, purged: Purged, told: readonly string[]): void {
  const nameOf = (digest: Digest) => formatImage({ ...image, tag: undefined, digest })
  context.out(lines(purged.manifests.map(nameOf).filter((name) => !told.includes(name))))
  context.error(lines([...keptLines(purged, nameOf), spaceLine(purged)]))
}

function keptLines({ kept }: Purged, nameOf: (digest: Digest) => string): string[] {
  return kept.map(({ digest, why }) => `${nameOf(digest)} stays: ${WHY[why] ?? why}.`)
}

function spaceLine({ manifests, blobs, unlinked }: Purged): string {
  const went = `Gone for good: ${counted(manifests.length, 'manifest')} and ${counted(blobs.count, 'blob')}`
  const later = blobs.bytes - unlinked.bytes
  const rest = later > 0 ? `, and ${bytesText(later)} when the collector has unlinked them` : ''
  return `${went}; ${bytesText(unlinked.bytes)} are free again${rest}.`
}

/** What was deleted where nobody can be asked for its space. @throws UpstreamError `unsupported` */
export function refusePurge(images: readonly ImageReference[]): void {
  const [first] = images
  if (first === undefined) return
  throw new UpstreamError(
    'unsupported',
    `${images.map(formatImage).join(', ')}: deleted, but ${first.registry} gives no space back on request: it comes back by that server's own garbage collection`,
    { hint: 'for registry:2 and 3, on their machine and while nobody pushes: registry garbage-collect CONFIG' },
  )
}
