import { Command } from 'commander'
import type { Digest } from '../../oci/digest.ts'
import { inParallel } from '../../transfer/parallel.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, formatRepository, type ImageReference, parseImage } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { mustAgree } from './agree.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { type PurgeResult, purge, purgeTrashed, refusePurge } from './delete-purge.ts'
import { referrersBelow } from './delete-referrers.ts'
import { deleteTag } from './delete-tag.ts'
import { withRule } from './immutable-refusal.ts'
import { missingHint } from './missing-image.ts'
import { lines } from './output.ts'
import { tagsByDigest, tagsOf } from './siblings.ts'

interface DeleteFlags extends ConnectionFlags {
  manifest?: true
  force?: true
  ignoreMissing?: true
  dryRun?: true
  purge?: true
  referrers?: true
  yes?: true
}

/** Tags that are asked at a time. */
const READERS = 8

export function deleteCommand(context: ClientContext): Command {
  return connectionOptions(new Command('delete').argument('<image...>', 'REPOSITORY:TAG or REPOSITORY@DIGEST'))
    .option('--manifest', 'the manifest that the tag stands for, with all of its tags')
    .option('--purge', 'for good, and give the space back at once (where the registry is Berth)')
    .option('-r, --referrers', 'a manifest with signatures, SBOMs and whatever else refers to it')
    .option('-f, --force', 'do not ask')
    .option('-y, --yes', 'the same')
    .option('--ignore-missing', 'what is not there is no error')
    .option('--dry-run', 'say what would be deleted, and delete nothing')
    .action(async (names: string[], given: DeleteFlags) => {
      const flags: DeleteFlags = given.yes ? { ...given, force: true } : given
      // All are read before the first is deleted: a mistyped one must not leave half of the work done.
      const images = names.map(parseTarget)
      if (flags.referrers && flags.purge) {
        throw usage('--purge takes what refers to a manifest along by itself', 'leave out --referrers')
      }
      const tag = flags.referrers && !flags.manifest ? images.find(({ digest }) => digest === undefined) : undefined
      if (tag !== undefined) {
        throw usage(
          `${formatImage(tag)}: a tag goes alone, and nothing refers to it`,
          'add --manifest for what it stands for',
        )
      }
      const upstream = connect(context, flags)
      const seen = new Set<string>()
      const unpurged: ImageReference[] = []
      for (const image of flags.manifest ? await inParallel(images, READERS, resolved(upstream)) : images) {
        const name = formatImage(image.digest === undefined ? image : { ...image, tag: undefined })
        if (seen.has(name)) continue
        seen.add(name)
        const isTag = image.digest === undefined && !flags.manifest
        const remove = !isTag ? removeManifest : flags.purge ? purgeTag : removeTag
        if ((await remove(context, upstream, image, flags).catch(explained)) === 'unsupported') unpurged.push(image)
      }
      refusePurge(unpurged)
    })
}

/** With the digest that its tag has now: of two tags for one manifest, the second is gone with the first. */
function resolved(upstream: Upstream): (image: ImageReference) => Promise<ImageReference> {
  return async (image) => ({ ...image, digest: image.digest ?? (await upstream.head(image, image.tag ?? ''))?.digest })
}

/** `untag`: as `delete` of tags, which is all that it does. */
export function untagCommand(context: ClientContext): Command {
  return connectionOptions(new Command('untag').argument('<image...>', 'REPOSITORY:TAG'))
    .option('-f, --force', 'what is not there is no error')
    .option('--dry-run', 'say what would be removed, and remove nothing')
    .action(async (names: string[], { force, ...flags }: ConnectionFlags & { force?: true; dryRun?: true }) => {
      const images = names.map(parseTarget)
      const digest = images.find((image) => image.digest !== undefined)
      if (digest !== undefined) throw usage(`${formatImage(digest)} is no tag`, `berth delete ${formatImage(digest)}`)
      const upstream = connect(context, flags)
      for (const image of images) {
        await removeTag(context, upstream, image, { ...flags, ...(force ? { ignoreMissing: true } : {}) }).catch(
          explained,
        )
      }
    })
}

/** @throws the error, with what an administrator can do about a rule of immutable tags */
function explained(error: unknown): never {
  throw withRule(error, { forceable: false })
}

/** A name without a tag would mean `latest` to docker: too easily said for what cannot be taken back. */
function parseTarget(name: string): ImageReference {
  const image = parseImage(name)
  if (image.tag === undefined && image.digest === undefined) {
    throw usage(`${name} has neither a tag nor a digest`, `berth ls ${formatRepository(image)}`)
  }
  return image
}

async function removeTag(context: ClientContext, upstream: Upstream, image: ImageReference, flags: DeleteFlags) {
  const { tag } = image
  if (tag === undefined) throw usage(`${formatImage(image)} is no tag`)
  const name = formatImage(image)
  const isThere = flags.dryRun
    ? (await upstream.head(image, tag)) !== undefined
    : await deleteTag(upstream, { ...image, tag })
  if (!isThere) return await missing(context, upstream, image, flags)
  if (flags.dryRun) context.error(`Nothing is deleted: this is what would be.\n`)
  context.out(lines([name]))
}

/** The tag, and its manifest for good where it was the last one. */
async function purgeTag(
  context: ClientContext,
  upstream: Upstream,
  image: ImageReference,
  flags: DeleteFlags,
): Promise<PurgeResult | undefined> {
  const { tag = '' } = image
  const digest = (await upstream.head(image, tag))?.digest
  if (digest === undefined) return await missing(context, upstream, image, flags)
  const others = (await tagsOf(upstream, image, digest)).filter((other) => other !== tag)
  const manifest = formatImage({ ...image, tag: undefined, digest })
  if (others.length > 0) {
    await removeTag(context, upstream, image, flags)
    context.error(lines([`${manifest} stays, for it has other tags: ${others.join(', ')}.`]))
    return undefined
  }
  if (flags.dryRun) {
    context.error(`Nothing is deleted: this is what would be, for good.\n`)
    context.out(lines([formatImage(image), manifest]))
    return undefined
  }
  if (!flags.force)
    await mustAgree(context, `The tag ${formatImage(image)}, and ${digest} for good: nothing brings it back.`)
  const removed = await removeLastTag(upstream, { ...image, tag, digest })
  if (removed === 'nothing') return await missing(context, upstream, image, flags)
  const told = removed === 'tag' ? [formatImage(image)] : [formatImage(image), manifest]
  context.out(lines(told))
  return await purge(context, upstream, image, { digest, told })
}

/** Where tags cannot go alone (registry:2), a manifest without another one can. */
async function removeLastTag(
  upstream: Upstream,
  image: ImageReference & { tag: string; digest: Digest },
): Promise<'tag' | 'manifest' | 'nothing'> {
  try {
    return (await deleteTag(upstream, { ...image, digest: undefined })) ? 'tag' : 'nothing'
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.fault !== 'unsupported') throw error
    const others = (await tagsOf(upstream, image, image.digest)).filter((other) => other !== image.tag)
    if (others.length > 0) throw error
    await upstream.delete(image, image.digest)
    return 'manifest'
  }
}

async function removeManifest(
  context: ClientContext,
  upstream: Upstream,
  image: ImageReference,
  flags: DeleteFlags,
): Promise<PurgeResult | undefined> {
  const digest = image.digest ?? (await upstream.head(image, image.tag ?? ''))?.digest
  const isThere =
    digest !== undefined && (image.digest === undefined || (await upstream.head(image, digest)) !== undefined)
  if (digest !== undefined && !isThere && flags.purge && !flags.dryRun) {
    if (!flags.force)
      await mustAgree(context, `What the trash of ${formatRepository(image)} has of ${digest}, for good.`)
    if (await purgeTrashed(context, upstream, { ...image, digest })) return 'purged'
  }
  if (digest === undefined || !isThere) return await missing(context, upstream, image, flags)
  const referring = flags.referrers ? await referrersBelow(upstream, image, digest) : []
  const tagged = await tagsByDigest(upstream, image)
  const named = (one: Digest) => [
    formatImage({ ...image, tag: undefined, digest: one }),
    ...(tagged.get(one) ?? []).map((tag) => formatImage({ ...image, tag, digest: undefined })),
  ]
  const tags = tagged.get(digest) ?? []
  const what = named(digest)
  if (flags.dryRun) {
    context.error(`Nothing is deleted: this is what would be${flags.purge ? ', for good' : ''}.\n`)
    context.out(lines([...referring.flatMap(named), ...what]))
    return undefined
  }
  if (!flags.force) {
    const its = tags.length === 0 ? 'It has no tags.' : `Its tags go with it: ${tags.join(', ')}.`
    const forGood = flags.purge ? ['For good: nothing brings it back.'] : []
    const also = referring.length === 0 ? [] : ['What refers to it goes with it:', ...referring.flatMap(named)]
    await mustAgree(context, `The manifest ${digest}`, `of ${formatRepository(image)}. ${its}`, ...also, ...forGood)
  }
  for (const one of referring) {
    await upstream.delete(image, one)
    context.out(lines(named(one)))
  }
  await upstream.delete(image, digest)
  context.out(lines(what))
  return flags.purge ? await purge(context, upstream, image, { digest, told: what }) : undefined
}

async function missing(
  context: ClientContext,
  upstream: Upstream,
  image: ImageReference,
  { ignoreMissing }: DeleteFlags,
): Promise<undefined> {
  const text = `${formatImage(image)} is not there`
  if (!ignoreMissing) throw new UpstreamError('not-found', text, { hint: await missingHint(upstream, image) })
  context.error(lines([text]))
  return undefined
}

function usage(message: string, hint?: string): UpstreamError {
  return new UpstreamError('usage', message, { hint })
}
