import { Command } from 'commander'
import { readManifest } from '../../transfer/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchSingle, parsePlatform, readConfig } from './image.ts'
import { instructionOf } from './instruction.ts'
import { formatOption, lines, parseFormat, show } from './output.ts'

interface DockerfileFlags extends ConnectionFlags {
  platform?: string
  format: string
}

/** Where builders write down what an image was made from (OCI Image Specification 1.1, "Pre-Defined Annotation Keys"). */
const BASE_NAME = 'org.opencontainers.image.base.name'

export function dockerfileCommand(context: ClientContext): Command {
  const verb = new Command('dockerfile').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')
  return formatOption(connectionOptions(verb), 'raw')
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .action(async (name: string, flags: DockerfileFlags) => {
      const format = parseFormat(flags.format, 'raw')
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const upstream = connect(context, flags)
      const fetched = await fetchSingle(upstream, image, platform, context.env)
      const { config, annotations } = readManifest(formatImage(image), fetched)
      const json = config && (await readConfig(upstream, image, config)).json
      const steps = Array.isArray(json?.history) ? (json.history as unknown[]) : []
      if (steps.length === 0) {
        throw new UpstreamError('not-found', `${formatImage(image)} says nothing of how it was made`, {
          hint: `berth inspect --config ${formatImage(image)} has what there is`,
        })
      }
      // Some builders write an empty one.
      const base = annotations?.[BASE_NAME] || undefined
      const text = [
        `# Made from the history of ${formatImage(image)}`,
        `# (${fetched.digest}): close to the`,
        '# Dockerfile it was built from, and not that file. Stages, comments, files that were copied and the',
        `# image of FROM are not in an image${base === undefined ? '' : `; its builder says that it was made from ${base}`}.`,
        'FROM scratch',
        ...steps.flatMap((step) => {
          const { created_by: command } = Object(step) as Record<string, unknown>
          return typeof command === 'string' && command.trim() !== '' ? instructionOf(command).split('\n') : []
        }),
      ]
      const dockerfile = `${text.join('\n')}\n`
      show(context, format, {
        whole: { name: formatImage(image), digest: fetched.digest, base: base ?? null, dockerfile },
        // A tab is the only sign of them that means no harm.
        text: lines(text.map((line) => line.replaceAll('\t', '    '))),
        raw: new TextEncoder().encode(dockerfile),
      })
    })
}
