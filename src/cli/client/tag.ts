import { Command } from 'commander'
import { isTag } from '../../oci/name.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, formatRepository, type ImageReference, parseImage } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchManifest } from './image.ts'
import { withRule } from './immutable-refusal.ts'
import { lines } from './output.ts'
import { moverByForce } from './tag-force.ts'

export function tagCommand(context: ClientContext): Command {
  return connectionOptions(
    new Command('tag')
      .argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')
      .argument('<tag...>', 'names in its repository; with the repository before them, too')
      .option('--force', "also tags that are immutable, with an administrator's password (Berth)"),
  ).action(async (name: string, names: string[], flags: ConnectionFlags & { force?: true }) => {
    const image = parseImage(name)
    const tags = names.map((text) => tagOf(image, text))
    const upstream = connect(context, flags)
    const manifest = await fetchManifest(upstream, image)
    const force = flags.force ? moverByForce(context, upstream, image) : undefined
    for (const tag of tags) {
      await upstream.putManifest(image, tag, manifest).catch(async (error: unknown) => {
        if (force === undefined) throw withRule(error, { forceable: true })
        await force({ tag, digest: manifest.digest }, error)
      })
      context.out(lines([formatImage({ ...image, tag, digest: manifest.digest })]))
    }
  })
}

/** `v1`, or as docker has it, `HOST/NAME:v1` of the same repository. @throws UpstreamError `usage` */
function tagOf(image: ImageReference, text: string): string {
  if (isTag(text)) return text
  if (text.includes('/')) {
    const { tag, digest, ...repository } = parseImage(text)
    const isSame = formatRepository(repository) === formatRepository(image)
    if (isSame && tag !== undefined && digest === undefined) return tag
    if (!isSame) {
      throw new UpstreamError('usage', `${text} is in another repository than ${formatImage(image)}`, {
        hint: `berth cp ${formatImage(image)} ${text}`,
      })
    }
  }
  throw new UpstreamError('usage', `${JSON.stringify(text)} is no tag`, {
    hint: 'a tag has up to 128 letters, digits, _ . and -; to give it to another repository: berth cp',
  })
}
