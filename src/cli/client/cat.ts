import { Command } from 'commander'
import { ArchiveError } from '../../archive/error.ts'
import type { LayerFile } from '../../rootfs/layer.ts'
import { safeName } from '../../rootfs/name.ts'
import { readFile } from '../../rootfs/read-file.ts'
import { parseImage } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { budgetOf, chooseLayer, type LayerFlags, layerOptions, openImage } from './image-layers.ts'
import { noFile } from './no-file.ts'
import { bytesOption } from './output.ts'
import { saveStream } from './save-file.ts'
import { printBytes } from './terminal-bytes.ts'

interface CatFlags extends ConnectionFlags, LayerFlags {
  output?: string
  layer?: string
}

export function catCommand(context: ClientContext): Command {
  return layerOptions(
    bytesOption(
      connectionOptions(
        new Command('cat').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]').argument('<path>', 'of a file there'),
      ),
    ),
  )
    .option('-o, --output <file>', 'write it to a file')
    .option('--layer <n|digest>', 'as this layer alone has it; 1 is the lowest')
    .action(async (name: string, path: string, flags: CatFlags) => {
      const image = parseImage(name)
      const { sources } = await openImage(connect(context, flags), image, flags, context.env)
      const only = flags.layer === undefined ? undefined : chooseLayer(image, sources, flags.layer)
      const layers = only === undefined ? sources : sources.slice(only, only + 1)
      const outcome = await readFile(layers, path, budgetOf(flags), (file) => print(context, file, flags))
      if (outcome.kind !== 'read') throw noFile(image, safeName(path).path, outcome.kind, outcome.path)
    })
}

async function print(context: ClientContext, { entry, content }: LayerFile, { output }: CatFlags): Promise<void> {
  if (entry.isSparse) {
    throw new ArchiveError('unsupported', `/${entry.path} is kept as a sparse file, which nothing here puts together`)
  }
  if (output !== undefined) await saveStream(output, content)
  else await printBytes(context, `/${entry.path}`, content)
}
