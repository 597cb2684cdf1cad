import { Command } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, formatRepository, parseImage, referenceOf } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchImage, parsePlatform } from './image.ts'
import { missingHint } from './missing-image.ts'
import { formatOption, lines, parseFormat, show } from './output.ts'

interface DigestFlags extends ConnectionFlags {
  platform?: string
  fullRef?: true
  format: string
}

export function digestCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('digest').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')))
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .option('--full-ref', 'as a reference that can be pulled: REPOSITORY@DIGEST')
    .action(async (name: string, flags: DigestFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const upstream = connect(context, flags)
      const found =
        platform === undefined
          ? await upstream.head(image, referenceOf(image))
          : await fetchImage(upstream, image, platform).then(({ bytes, ...rest }) => ({ ...rest, size: bytes.length }))
      if (found === undefined) {
        throw new UpstreamError('not-found', `${formatImage(image)} is not there`, {
          hint: await missingHint(upstream, image),
        })
      }
      const { digest, mediaType, size } = found
      const reference = `${formatRepository(image)}@${digest}`
      show(context, format, {
        whole: { reference, digest, mediaType, size },
        text: lines([flags.fullRef ? reference : digest]),
      })
    })
}
