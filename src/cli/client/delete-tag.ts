import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { tagsOf } from './siblings.ts'

/** What a registry says that cannot delete a tag: distribution 2 takes it for a digest that is none. */
const CANNOT = new Set(['UNSUPPORTED', 'DIGEST_INVALID', 'MANIFEST_INVALID'])

/**
 * Removes the tag, and nothing else. Resolves to whether it was there.
 * @throws UpstreamError `unsupported`, with what it would take, where the registry deletes manifests alone
 */
export async function deleteTag(upstream: Upstream, image: ImageReference & { tag: string }): Promise<boolean> {
  const found = await upstream.head(image, image.tag)
  if (found === undefined) return false
  try {
    await upstream.delete(image, image.tag)
    return true
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error
    const isUnable = error.fault === 'unsupported' || CANNOT.has(error.code ?? '') || error.fault === 'not-found'
    if (!isUnable) throw error
    // Somebody else may have removed it meanwhile.
    if (error.fault === 'not-found' && (await upstream.head(image, image.tag)) === undefined) return false
    const others = (await tagsOf(upstream, image, found.digest)).filter((tag) => tag !== image.tag)
    const lost =
      others.length === 0
        ? 'its manifest, which has no other tag, can be deleted'
        : `its manifest can be deleted, which removes ${others.join(', ')}, too`
    throw new UpstreamError(
      'unsupported',
      `${image.registry} cannot delete the tag ${image.tag} alone (it answers ${error.code ?? error.status}); ${lost}`,
      { hint: `berth delete --manifest ${formatImage(image)}`, cause: error },
    )
  }
}
