import { Command, InvalidArgumentError } from 'commander'
import type { Descriptor, Platform } from '../../oci/descriptor.ts'
import { isDigest } from '../../oci/digest.ts'
import { isTag } from '../../oci/name.ts'
import { fitsPlatform, isSamePlatform } from '../../oci/platform.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference, parseImage } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { collect } from '../values.ts'
import { connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { parsePlatform } from './image.ts'
import { emptyIndex, entriesOf, fetchIndex, type IndexJson, putIndex } from './index-entries.ts'
import { connectMover, type MoverFlags, moverOptions } from './mover.ts'
import { formatOption, parseFormat } from './output.ts'

interface WriteFlags extends MoverFlags {
  format: string
  platform?: Platform[]
  annotation?: Record<string, string>
  docker?: true
  tag?: string
  manifest?: string[]
  dryRun?: true
}

export function indexCreateCommand(context: ClientContext): Command {
  return writing('create')
    .description('make an index of images, which are copied to its repository')
    .argument('<index>', 'REPOSITORY[:TAG]')
    .argument('[image...]', 'images; of an index its images')
    .option('-m, --manifest <image>', 'a further image; may be repeated', collect)
    .option(
      '-p, --platform <os/arch>',
      'of indexes only the images for this platform; may be repeated',
      collectPlatform,
    )
    .option('-t, --tag <tag>', 'store it under this tag')
    .option('--annotation <name=value>', 'an annotation of the index; may be repeated', collectAnnotation)
    .option('--docker', "a manifest list of docker's, in place of an OCI index")
    .action(async (name: string, images: string[], flags: WriteFlags) => {
      parseFormat(flags.format, 'raw')
      named(images, flags)
      const target = targetOf(parseImage(name), flags)
      if (flags.docker && flags.annotation !== undefined) {
        throw new UpstreamError('usage', "docker's manifest lists have no annotations")
      }
      const upstream = connectMover(context, flags)
      const entries = await entriesOf(context, upstream, target, named(images, flags), flags.platform ?? [], flags)
      const { annotation: annotations } = flags
      const index = { ...emptyIndex(flags.docker ? 'docker' : 'oci'), ...(annotations ? { annotations } : {}) }
      await putIndex(context, upstream, target, withEntries(index, entries), flags)
    })
}

export function indexAppendCommand(context: ClientContext): Command {
  return writing('append')
    .description('add images to an index, in place of those for the same platforms')
    .argument('<index>', 'REPOSITORY[:TAG]')
    .argument('[image...]', 'images; of an index its images')
    .option('-m, --manifest <image>', 'a further image; may be repeated', collect)
    .option(
      '-p, --platform <os/arch>',
      'of indexes only the images for this platform; may be repeated',
      collectPlatform,
    )
    .option('-t, --tag <tag>', 'store it under this tag, and leave the other as it is')
    .action((name: string, images: string[], flags: WriteFlags) =>
      change(context, name, flags, async (index, { upstream, target }) => {
        const entries = await entriesOf(context, upstream, target, named(images, flags), flags.platform ?? [], flags)
        return withEntries(index, entries)
      }),
    )
}

export function indexRemoveCommand(context: ClientContext): Command {
  return writing('remove')
    .alias('rm')
    .description('remove images from an index; they stay in the repository')
    .argument('<index>', 'REPOSITORY[:TAG]')
    .argument('<entry...>', 'digests, or platforms as linux/arm64')
    .option('-t, --tag <tag>', 'store it under this tag, and leave the other as it is')
    .action((name: string, entries: string[], flags: WriteFlags) =>
      change(context, name, flags, (index, { from }) => {
        const gone = new Set(entries.flatMap((entry) => selected(index, entry, formatImage(from))))
        return { ...index, manifests: index.manifests.filter((one) => !gone.has(one)) }
      }),
    )
}

export function indexAnnotateCommand(context: ClientContext): Command {
  return writing('annotate')
    .description('say something else of an image in an index')
    .argument('<index>', 'REPOSITORY[:TAG]')
    .argument('<entry>', 'a digest, or a platform as linux/arm64')
    .option('-p, --platform <os/arch>', 'it is for this platform', onePlatform)
    .option('--os-version <version>', 'it is for this version of the system')
    .option('--annotation <name=value>', 'an annotation of the image there; may be repeated', collectAnnotation)
    .option('-t, --tag <tag>', 'store it under this tag, and leave the other as it is')
    .action(async (name: string, entry: string, flags: WriteFlags & { osVersion?: string }) => {
      const { annotation, osVersion, platform: [platform] = [] } = flags
      if (annotation === undefined && osVersion === undefined && platform === undefined) {
        throw new UpstreamError('usage', 'there is nothing to say', {
          hint: '--platform, --os-version or --annotation',
        })
      }
      await change(context, name, flags, (index, { from }) => {
        const changed = new Set(selected(index, entry, formatImage(from)))
        const manifests = index.manifests.map((one): Descriptor => {
          if (!changed.has(one)) return one
          const version = osVersion ?? one.platform?.['os.version']
          return {
            ...one,
            ...(platform === undefined && osVersion === undefined
              ? {}
              : {
                  platform: {
                    ...(platform ?? one.platform),
                    ...(version === undefined ? {} : { 'os.version': version }),
                  },
                }),
            ...(annotation === undefined ? {} : { annotations: { ...one.annotations, ...annotation } }),
          }
        })
        return { ...index, manifests }
      })
    })
}

/** @throws UpstreamError `usage` where there is none */
function named(images: readonly string[], { manifest = [] }: WriteFlags): string[] {
  const all = [...images, ...manifest]
  if (all.length === 0)
    throw new UpstreamError('usage', 'name at least one image', { hint: 'berth index create INDEX IMAGE...' })
  return all
}

interface Place {
  upstream: Upstream
  from: ImageReference
  target: ImageReference
}

/** Fetches an index, and stores what `make` makes of it. @throws UpstreamError */
async function change(
  context: ClientContext,
  name: string,
  flags: WriteFlags,
  make: (index: IndexJson, place: Place) => IndexJson | Promise<IndexJson>,
): Promise<void> {
  parseFormat(flags.format, 'raw')
  const from = parseImage(name)
  const target = targetOf(from, flags)
  const upstream = connectMover(context, flags)
  const { index: before } = await fetchIndex(upstream, from)
  const index = await make(before, { upstream, from, target })
  await putIndex(context, upstream, target, index, flags)
}

function writing(name: string): Command {
  const command = formatOption(moverOptions(connectionOptions(new Command(name))), 'raw')
  return command.option('--dry-run', 'show the index, and write nothing')
}

/** Where the result is stored. @throws UpstreamError `usage` */
function targetOf(image: ImageReference, { tag }: WriteFlags): ImageReference {
  if (tag !== undefined && !isTag(tag)) throw new UpstreamError('usage', `${JSON.stringify(tag)} is no tag`)
  if (image.digest !== undefined && tag === undefined) {
    throw new UpstreamError('usage', `${formatImage(image)}: what is changed has another digest`, {
      hint: '--tag says where it goes',
    })
  }
  return { ...image, digest: undefined, tag: tag ?? image.tag }
}

/** An image takes the place of the one for its platform, which keeps its place in the list; attestations, which are for none, stay. */
function withEntries(index: IndexJson, entries: readonly Descriptor[]): IndexJson {
  const manifests = [...index.manifests]
  for (const entry of entries) {
    const at = manifests.findIndex((one) => one.digest === entry.digest || isSamePlatform(one.platform, entry.platform))
    if (at === -1) manifests.push(entry)
    else manifests[at] = entry
  }
  return { ...index, manifests }
}

/** @throws UpstreamError `not-found` */
function selected(index: IndexJson, text: string, what: string): Descriptor[] {
  const isWanted = isDigest(text)
    ? ({ digest }: Descriptor) => digest === text
    : ({ platform }: Descriptor) => platform !== undefined && fitsPlatform(platform, parsePlatform(text))
  const found = index.manifests.filter(isWanted)
  if (found.length > 0) return found
  throw new UpstreamError('not-found', `${what} has no ${text}`, { hint: `berth index list ${what}` })
}

function onePlatform(text: string): Platform[] {
  return collectPlatform(text, undefined)
}

function collectPlatform(text: string, before: Platform[] | undefined): Platform[] {
  return [...(before ?? []), parsePlatform(text)]
}

function collectAnnotation(text: string, before: Record<string, string> | undefined): Record<string, string> {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined) throw new InvalidArgumentError('Write NAME=VALUE.')
  return { ...before, [name]: value }
}
