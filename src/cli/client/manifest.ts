import { Command } from 'commander'
import { readManifest } from '../../transfer/tree.ts'
import { parseImage } from '../../upstream/reference.ts'
import { printableJson } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchImage, parsePlatform } from './image.ts'
import { saveFile } from './save-file.ts'

interface ManifestFlags extends ConnectionFlags {
  platform?: string
  pretty?: true
  descriptor?: true
  output?: string
}

export function manifestCommand(context: ClientContext): Command {
  return connectionOptions(new Command('manifest').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]'))
    .option('-p, --platform <os/arch>', 'of the image for this platform')
    .option('--pretty', 'indented, which changes the digest')
    .option('--descriptor', 'media type, digest and size in place of the manifest')
    .option('-o, --output <file>', 'write it to a file')
    .action(async (name: string, flags: ManifestFlags) => {
      const image = parseImage(name)
      const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform)
      const fetched = await fetchImage(connect(context, flags), image, platform)
      const { bytes, digest, mediaType } = fetched
      const json = flags.descriptor ? { mediaType, digest, size: bytes.byteLength } : undefined
      // What is no manifest has no pretty form; its exact bytes are for whoever wants to see them.
      if (flags.pretty && json === undefined) readManifest(name, fetched)
      const indent = flags.pretty ? 2 : undefined
      const data =
        json !== undefined || flags.pretty
          ? printableJson(JSON.stringify(json ?? JSON.parse(new TextDecoder().decode(bytes)), undefined, indent))
          : bytes
      if (flags.output === undefined) context.out(data)
      else saveFile(flags.output, data)
    })
}
