import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import type { Descriptor } from '../../oci/descriptor.ts'
import { INDEX_FILE } from '../../transfer/layout.ts'
import { openLocal } from '../../transfer/local.ts'
import { manifestFor } from '../../transfer/platform.ts'
import { registrySource } from '../../transfer/registry-source.ts'
import type { ImageSource } from '../../transfer/transfer.ts'
import { type Validation, validate } from '../../transfer/validate.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { DOCKER_HUB, formatImage, parseImage } from '../../upstream/reference.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import { CommandError } from '../error.ts'
import type { Listing } from '../listing.ts'
import { bytesText, counted } from '../progress.ts'
import { connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchImage, parsePlatform } from './image.ts'
import { type LimitFlags, limitOption, limitsOf } from './limit-option.ts'
import { type MoverFlags, moverOptions } from './mover.ts'
import { formatOption, parseFormat, show, type TableFlags, tableOption } from './output.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'
import { createMeter } from './transfer-meter.ts'

interface ValidateFlags extends MoverFlags, LimitFlags, TableFlags {
  fast?: true
  referrers?: true
  platform?: string
  image?: string
  format: string
}

interface Subject {
  name: string
  source: ImageSource
  root: FetchedManifest
  /** What a layout says of it. */
  named?: Descriptor | undefined
}

export function validateCommand(context: ClientContext): Command {
  const command = new Command('validate')
    .argument('<image>', 'REPOSITORY[:TAG][@DIGEST], or the path of a layout or an archive: ./layout, /tmp/image.tar')
    .option('--fast', 'ask whether layers are there, and do not read them')
    .option('-r, --referrers', 'with signatures, SBOMs and whatever else refers to it')
    .option('-p, --platform <os/arch>', 'of an index the image for this platform alone')
    .option('--image <name>', 'which one of a layout or an archive, where there are several')
  return tableOption(limitOption(formatOption(moverOptions(connectionOptions(command))))).action(
    async (name: string, flags: ValidateFlags) => {
      const format = parseFormat(flags.format)
      const limits = limitsOf(flags)
      const temporary = makeTemporaryFolder(context, 'validate')
      const meter = createMeter(
        context,
        flags.progress === 'auto' && context.terminal.isTTY !== true ? { progress: 'none' } : flags,
      )
      try {
        const subject = await subjectOf(context, name, flags, temporary.path)
        const result = await validate(subject.root, {
          ...{ source: subject.source, meter, limits, jobs: flags.jobs, referrers: flags.referrers === true },
          ...{ isFast: flags.fast === true, named: subject.named },
        })
        meter.clear()
        const { digest } = subject.root
        show(
          context,
          format,
          {
            whole: { name: subject.name, digest, ok: result.problems.length === 0, ...result },
            // A template is for the verdict, of which there is one.
            ...(format === 'ndjson' ? { list: { name: 'problems', rows: result.problems } } : {}),
            text: result.problems.length === 0 ? fine(subject.name, result) : tableOf(result),
          },
          flags,
        )
        if (result.problems.length > 0) {
          const count = result.problems.length === 1 ? 'a problem' : `${result.problems.length} problems`
          throw new CommandError(`${subject.name} has ${count}`)
        }
      } finally {
        meter.clear()
        temporary.remove()
      }
    },
  )
}

async function subjectOf(
  context: ClientContext,
  name: string,
  flags: ValidateFlags,
  temporary: string,
): Promise<Subject> {
  const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
  // What begins so is no reference.
  if (!/^\.{0,2}\//.test(name)) {
    mustNotBeFile(name)
    const image = parseImage(name)
    const upstream = connect(context, flags)
    return {
      name: formatImage(image),
      source: registrySource(upstream, image),
      root: await fetchImage(upstream, image, platform),
    }
  }
  const local = await openLocal({ path: name, format: 'auto', temporary, signal: context.signal })
  const { source, root, named } = await local.choose(flags.image, undefined)
  if (platform === undefined) return { name, source, root, named }
  return { name, source, root: await manifestFor(source, root, platform) }
}

/** A name without a registry would be asked of Docker Hub: not what whoever has such a file means. @throws UpstreamError `usage` */
function mustNotBeFile(name: string): void {
  const found = statSync(name, { throwIfNoEntry: false })
  if (found === undefined || (!found.isFile() && !existsSync(join(name, INDEX_FILE)))) return
  if (!isOfHub(name)) return
  throw new UpstreamError('usage', `${name} may be the file of that name, or an image of ${DOCKER_HUB}`, {
    hint: `berth validate ./${name} reads the file, berth validate ${DOCKER_HUB}/${name} asks the registry`,
  })
}

/** Whether it has no registry in it, or is no reference at all. */
function isOfHub(name: string): boolean {
  try {
    return parseImage(name).registry === DOCKER_HUB
  } catch {
    return true
  }
}

function fine(name: string, { manifests, blobs, bytes }: Validation): string {
  const of = `${counted(manifests, 'manifest')}, ${counted(blobs, 'blob')}`
  return `${name} is whole: ${of}, ${bytesText(bytes)} read\n`
}

function tableOf({ problems }: Validation): Listing {
  const rows = problems.map(({ digest, problem }) => [digest, problem])
  return { titles: ['DIGEST', 'PROBLEM'], rows, wraps: true, empty: 'There are no problems.' }
}
