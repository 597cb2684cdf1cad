import { Command } from 'commander'
import { diffTrees, type FileChange } from '../../rootfs/diff-trees.ts'
import { indexLayer, type LayerEntry, noOddities, rawName } from '../../rootfs/layer.ts'
import { safeName } from '../../rootfs/name.ts'
import { createTree, type TreeFile } from '../../rootfs/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference, parseImage } from '../../upstream/reference.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { changeLine, changeRow } from './file-change.ts'
import { type FileRow, LONG_TITLES, longCells, rowOf } from './file-row.ts'
import {
  budgetOf,
  chooseLayer,
  type LayeredImage,
  type LayerFlags,
  layerOptions,
  openImage,
  warnOfOddities,
} from './image-layers.ts'
import { noFile } from './no-file.ts'
import { formatOption, lines, parseFormat, show, type TableFlags, tableOption } from './output.ts'

interface FilesFlags extends ConnectionFlags, LayerFlags, TableFlags {
  long?: true
  layer?: string
  changed?: true
  format: string
}

export function filesCommand(context: ClientContext): Command {
  return layerOptions(
    formatOption(
      connectionOptions(
        tableOption(new Command('files'))
          .argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')
          .argument('[path]', 'of a directory or a file there; the root unless told'),
      ),
    ),
  )
    .option('-l, --long', 'with permissions, owner, size, time, and the number of the layer')
    .option('--layer <n|digest>', 'what this layer alone says; 1 is the lowest')
    .option('--changed', 'what --layer changes of those below it; without it, what all others change of the lowest')
    .action(async (name: string, path: string | undefined, flags: FilesFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const upstream = connect(context, flags)
      const opened = await openImage(upstream, image, flags, context.env)
      const { fetched, sources } = opened
      if (flags.changed) {
        await showChanges(context, format, image, opened, path, flags)
        return
      }
      const budget = budgetOf(flags)
      const odd = noOddities()
      const wanted = safeName(path ?? '').path
      const rows: FileRow[] = []
      // What is shown is held in memory, too, and a link may make long names of short ones.
      const account = budget.archive(`the list of ${formatImage(image)}`)
      const add = (row: FileRow) => {
        account.name(row.path.length)
        rows.push(row)
      }
      if (flags.layer === undefined) {
        const tree = createTree(budget)
        for (const source of sources) tree.apply(await indexLayer(source, budget, { odd }))
        const found = tree.find(wanted)
        if (found.kind !== 'found') throw noFile(image, wanted, found.kind, found.path)
        for (const file of tree.list(found.file.path)) add(rowOf(file, sources))
      } else {
        const index = chooseLayer(image, sources, flags.layer)
        const source = sources[index]
        const entries = source === undefined ? [] : await indexLayer(source, budget, { odd })
        const isBelow = ({ path: at }: LayerEntry) => wanted === '' || at === wanted || at.startsWith(`${wanted}/`)
        for (const entry of entries.filter(isBelow)) add(rowOf(fileOf(entry, index), sources))
        if (rows.length === 0 && wanted !== '') throw notInLayer(image, wanted, flags.layer)
      }
      warnOfOddities(context, image, odd)
      const empty = 'There are no files.'
      show(
        context,
        format,
        {
          whole: { digest: fetched.digest, files: rows },
          list: { name: 'files', rows },
          text: flags.long
            ? { titles: LONG_TITLES, rows: rows.map(longCells), wraps: true, empty }
            : lines(rows.map((row) => (row.type === 'directory' ? `${row.path.replace(/\/$/, '')}/` : row.path))),
          empty,
        },
        flags,
      )
    })
}

/** What layers change of those below them, at or below a path. */
async function showChanges(
  context: ClientContext,
  format: ReturnType<typeof parseFormat>,
  image: ImageReference,
  { fetched, sources }: LayeredImage,
  path: string | undefined,
  flags: FilesFlags,
): Promise<void> {
  if (flags.long) throw new UpstreamError('usage', '--changed has lines of its own: leave out --long')
  const last = flags.layer === undefined ? sources.length - 1 : chooseLayer(image, sources, flags.layer)
  const first = flags.layer === undefined ? 1 : last
  const budget = budgetOf(flags)
  const odd = noOddities()
  const [before, after] = [createTree(), createTree()]
  for (const [index, source] of sources.slice(0, last + 1).entries()) {
    const entries = await indexLayer(source, budget, { odd, hash: true })
    if (index < first) before.apply(entries)
    after.apply(entries)
  }
  const wanted = safeName(path ?? '').path
  const isWanted = ({ path: at }: FileChange) => wanted === '' || at === wanted || at.startsWith(`${wanted}/`)
  const changes = diffTrees(before, after).filter(isWanted)
  warnOfOddities(context, image, odd)
  const rows = changes.map((change) => changeRow(change, sources, sources))
  show(context, format, {
    whole: { digest: fetched.digest, changes: rows },
    list: { name: 'changes', rows },
    text: lines(changes.map(changeLine)),
    empty: 'Nothing is changed.',
  })
}

/** As it stands in the layer. */
function fileOf(entry: LayerEntry, layer: number): TreeFile {
  const isGone = entry.kind === 'whiteout' || entry.kind === 'opaque'
  return { path: rawName(entry), kind: isGone ? 'file' : (entry.kind as TreeFile['kind']), entry, layer }
}

function notInLayer(image: ImageReference, path: string, layer: string): UpstreamError {
  return new UpstreamError('not-found', `layer ${layer} of ${formatImage(image)} has no /${path}`, {
    hint: `berth files ${formatImage(image)} --layer ${layer}`,
  })
}
