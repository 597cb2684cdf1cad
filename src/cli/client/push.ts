import { Command, Option } from 'commander'
import { createCopier } from '../../transfer/copy.ts'
import { joinImages } from '../../transfer/join-images.ts'
import { type LocalFormat, openLocal } from '../../transfer/local.ts'
import { manifestFor } from '../../transfer/platform.ts'
import { registryTarget } from '../../transfer/registry-target.ts'
import { mustHaveSize } from '../../transfer/tree.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { parsePlatform } from './image.ts'
import { connectMover, type MoverFlags, moverOptions, parseArchive, stepListing, summaryOf } from './mover.ts'
import { lines, showTable, type TableFlags, tableOption } from './output.ts'
import { saveFile } from './save-file.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'
import { createMeter, tellsInWords } from './transfer-meter.ts'

interface PushFlags extends MoverFlags, TableFlags {
  format: LocalFormat
  image?: string
  index?: true
  platform?: string
  referrers?: true
  digestfile?: string
  imageRefs?: string
  dryRun?: true
}

export function pushCommand(context: ClientContext): Command {
  const command = new Command('push')
    .argument('<path>', 'what docker save wrote, an OCI layout or an archive of one, or - for standard input')
    .argument('<image>', 'REPOSITORY[:TAG]')
    .addOption(
      new Option('--format <format>', 'what it is')
        .choices(['auto', 'tarball', 'oci'])
        .argParser(parseArchive(['auto', 'tarball', 'oci']))
        .default('auto'),
    )
    .option('--image <name>', 'which one, where there are several: its name there, or its digest')
    .addOption(
      new Option('--index', 'all of them as one index, each for its platform').conflicts(['image', 'platform']),
    )
    .option('-p, --platform <os/arch>', 'of an index the image for this platform alone')
    .option('-r, --referrers', 'with what refers to it in the layout')
    .option('--digestfile <file>', 'write the digest to a file')
    .option('--image-refs <file>', 'write the name with its digest to a file, a line as it is printed')
    .option('--dry-run', 'say what would be sent, and send nothing')
  return tableOption(moverOptions(connectionOptions(command))).action(
    async (path: string, name: string, flags: PushFlags) => {
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const temporary = makeTemporaryFolder(context, 'push')
      const meter = createMeter(context, flags)
      try {
        const local = await openLocal({
          ...(path === '-' ? { path: 'standard input', input: context.input() } : { path }),
          ...{ format: flags.format, temporary: temporary.path, signal: context.signal },
        })
        const { source, root, named } = flags.index
          ? await joinImages(await local.all())
          : await local.choose(flags.image, image.tag, '; or all of them as one: --index')
        if (named !== undefined) mustHaveSize(`${source.name}@${named.digest}`, root, named)
        const wanted = platform === undefined ? root : await manifestFor(source, root, platform)
        const target = registryTarget(connectMover(context, flags), image)
        const { referrers = false, dryRun: isDry = false, jobs } = flags
        const copier = createCopier({ source, target, jobs, meter, referrers, isDry })
        const tag = image.tag ?? (image.digest === undefined ? 'latest' : undefined)
        const steps = await copier.copy(wanted, image.digest ?? tag ?? wanted.digest)
        if (flags.dryRun) {
          context.error('Nothing is sent: this is what would be.\n')
          showTable(context, stepListing(steps), flags)
          return
        }
        meter.clear()
        if (tellsInWords(flags)) context.error(`${summaryOf(steps)}\n`)
        if (flags.digestfile !== undefined) saveFile(flags.digestfile, wanted.digest)
        const reference = lines([formatImage({ ...image, tag, digest: wanted.digest })])
        if (flags.imageRefs !== undefined) saveFile(flags.imageRefs, reference)
        context.out(reference)
      } finally {
        meter.clear()
        temporary.remove()
      }
    },
  )
}
