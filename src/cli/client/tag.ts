import { Command } from 'commander'
import { isTag } from '../../oci/name.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchManifest } from './image.ts'
import { lines } from './output.ts'

export function tagCommand(context: ClientContext): Command {
  return connectionOptions(
    new Command('tag').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]').argument('<tag...>', 'names in its repository'),
  ).action(async (name: string, tags: string[], flags: ConnectionFlags) => {
    const image = parseImage(name)
    const wrong = tags.find((tag) => !isTag(tag))
    if (wrong !== undefined) {
      throw new UpstreamError('usage', `${JSON.stringify(wrong)} is no tag`, {
        hint: 'a tag has up to 128 letters, digits, _ . and -; to give it to another repository: berth cp',
      })
    }
    const upstream = connect(context, flags)
    const manifest = await fetchManifest(upstream, image)
    for (const tag of tags) {
      await upstream.putManifest(image, tag, manifest)
      context.out(lines([formatImage({ ...image, tag, digest: manifest.digest })]))
    }
  })
}
