import { isImageConfig } from '../../oci/media-type.ts'
import { readManifest } from '../../transfer/tree.ts'
import { formatImage, type ImageReference } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { ClientContext } from './context.ts'
import { fetchSingle, readConfig } from './image.ts'
import { imageConfig } from './image-config.ts'

/** `name=value` of each label of an image; of several that for this machine. @throws UpstreamError */
export type LabelReader = (image: ImageReference) => Promise<readonly string[]>

/** A configuration that several images have is read once. */
export function labelReader(upstream: Upstream, env: ClientContext['env']): LabelReader {
  const known = new Map<string, Promise<readonly string[]>>()
  return async (image) => {
    const fetched = await fetchSingle(upstream, image, undefined, env)
    const { config } = readManifest(formatImage(image), fetched)
    if (config === undefined || !isImageConfig(config.mediaType)) return []
    const labels =
      known.get(config.digest) ??
      readConfig(upstream, image, config).then(({ json = {} }) =>
        Object.entries(imageConfig(json).labels).map(([name, value]) => `${name}=${value}`),
      )
    known.set(config.digest, labels)
    return await labels
  }
}
