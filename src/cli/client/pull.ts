import { Command, Option } from 'commander'
import type { Digest } from '../../oci/digest.ts'
import { openBlobCache } from '../../transfer/blob-cache.ts'
import { createCopier, type Step } from '../../transfer/copy.ts'
import { archiveStore, directoryStore, type LayoutStore, streamStore } from '../../transfer/layout-store.ts'
import { layoutTarget } from '../../transfer/layout-target.ts'
import { registrySource } from '../../transfer/registry-source.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, formatRepository, type ImageReference, parseImage } from '../../upstream/reference.ts'
import { printable } from '../table.ts'
import { connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchImage, fetchSingle, parsePlatform } from './image.ts'
import { connectMover, type MoverFlags, moverOptions, parseArchive, summaryOf } from './mover.ts'
import { lines } from './output.ts'
import { createMeter, tellsInWords } from './transfer-meter.ts'

interface PullFlags extends MoverFlags {
  format: 'tarball' | 'oci'
  platform?: string
  referrers?: true
  cache?: string
}

export function pullCommand(context: ClientContext): Command {
  const command = new Command('pull')
    .argument('<image>', 'REPOSITORY[:TAG][@DIGEST]; more of them may follow')
    .argument('<path...>', 'a file, a directory (--format oci) or - for standard output')
    .addOption(
      new Option(
        '--format <format>',
        'what docker load reads, or an OCI layout: a directory, or its archive where the name ends with .tar',
      )
        .choices(['tarball', 'oci'])
        .argParser(parseArchive(['tarball', 'oci']))
        .default('tarball'),
    )
    .option('-p, --platform <os/arch>', 'of an index the image for this platform alone')
    .option('-r, --referrers', 'with signatures, SBOMs and whatever else refers to it (--format oci)')
    .option('-c, --cache <dir>', 'keep layers in this folder by their digests, and take them from there')
  return moverOptions(connectionOptions(command)).action(async (first: string, others: string[], flags: PullFlags) => {
    const path = others.at(-1) ?? ''
    const images = [first, ...others.slice(0, -1)].map(parseImage)
    const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
    if (flags.referrers && flags.format !== 'oci') {
      throw new UpstreamError('usage', 'a tarball of docker has no place for referrers', { hint: '--format oci' })
    }
    const upstream = connectMover(context, flags)
    // Nothing is written before it is known to be there.
    const roots = []
    for (const image of images) {
      const isIndex = flags.format === 'oci'
      roots.push(
        await (isIndex ? fetchImage(upstream, image, platform) : fetchSingle(upstream, image, platform, context.env)),
      )
    }
    const cache = flags.cache === undefined ? undefined : openBlobCache(flags.cache, context.now, context.signal)
    const store = storeFor(context, path, flags.format)
    const target = layoutTarget(store)
    const meter = createMeter(context, flags)
    const steps: Step[] = []
    const names: string[] = []
    try {
      for (const [index, image] of images.entries()) {
        const root = roots[index]
        if (root === undefined) continue
        const source = registrySource(upstream, image)
        const options = { target, jobs: flags.jobs, meter }
        const copier = createCopier({
          ...options,
          source: cache?.before(source) ?? source,
          referrers: flags.referrers === true,
        })
        const done = await copier.copy(root, root.digest)
        steps.push(...done)
        target.add(root, nameOf(image))
        for (const referrer of done.filter((step) => step.isReferrer)) {
          target.add(await upstream.manifest(image, referrer.digest), undefined)
        }
        names.push(
          formatImage({
            ...image,
            tag: image.digest === undefined ? (image.tag ?? 'latest') : image.tag,
            digest: root.digest as Digest,
          }),
        )
      }
      await target.end({ docker: flags.format === 'tarball' })
    } finally {
      meter.clear()
      store.abandon()
      tellDamaged(context, path, target.damaged)
      if (cache !== undefined) tellDamaged(context, flags.cache ?? '', cache.damaged)
    }
    const cached = cache === undefined ? '' : `, ${cache.used()} of them from ${printable(flags.cache ?? '')}`
    if (tellsInWords(flags)) context.error(`${summaryOf(steps)}${cached}\n`)
    if (path !== '-') context.out(lines(names))
  })
}

function tellDamaged(
  context: ClientContext,
  where: string,
  damaged: ReadonlyMap<Digest, { isReplaced: boolean }>,
): void {
  for (const [digest, { isReplaced }] of damaged) {
    const state = isReplaced ? 'was damaged, and has been replaced' : 'is damaged'
    context.error(`warning: ${digest} in ${printable(where)} ${state}\n`)
  }
}

/** @throws UpstreamError */
function storeFor(context: ClientContext, path: string, format: 'tarball' | 'oci'): LayoutStore {
  if (path === '-') {
    if (context.outIsTerminal) {
      throw new UpstreamError('usage', 'an archive is not for a terminal', {
        hint: 'write it to a file, or into a pipe',
      })
    }
    return streamStore('standard output', context.out)
  }
  return format === 'oci' && !path.endsWith('.tar') ? directoryStore(path, context.signal) : archiveStore(path)
}

/** As docker calls it after a pull; what is named by its digest alone has no name. */
function nameOf(image: ImageReference): { tag: string; image: string } | undefined {
  const tag = image.tag ?? (image.digest === undefined ? 'latest' : undefined)
  return tag === undefined ? undefined : { tag, image: `${formatRepository(image)}:${tag}` }
}
