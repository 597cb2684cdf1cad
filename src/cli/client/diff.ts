import { Command } from 'commander'
import type { Descriptor } from '../../oci/descriptor.ts'
import { diffTrees, type FileChange } from '../../rootfs/diff-trees.ts'
import { indexLayer, type LayerEntry } from '../../rootfs/layer.ts'
import { createTree, type Tree } from '../../rootfs/tree.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference, parseImage } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { shortDigests } from '../listing.ts'
import { bytesText } from '../progress.ts'
import { printable } from '../table.ts'
import { type ConfigChange, configChanges } from './config-changes.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { Differs } from './failure.ts'
import { changeLine, changeRow, SIGNS } from './file-change.ts'
import { readConfig } from './image.ts'
import { budgetOf, type LayeredImage, type LayerFlags, layerOptions, openImage } from './image-layers.ts'
import { formatOption, parseFormat, show, type TableFlags, tableOption } from './output.ts'

interface DiffFlags extends ConnectionFlags, LayerFlags, TableFlags {
  only?: string
  exitCode?: true
  format: string
}

const PARTS = ['config', 'layers', 'files'] as const
type Part = (typeof PARTS)[number]

interface Side extends LayeredImage {
  image: ImageReference
}

export function diffCommand(context: ClientContext): Command {
  const image = 'REPOSITORY[:TAG][@DIGEST]'
  const command = new Command('diff').argument('<before>', image).argument('<after>', image)
  return layerOptions(tableOption(formatOption(connectionOptions(command))))
    .option('--only <parts>', `of these parts alone: ${PARTS.join(',')}; without files no layer is read`)
    .option('--exit-code', 'end with 1 when they differ')
    .action(async (first: string, second: string, flags: DiffFlags) => {
      const format = parseFormat(flags.format)
      const parts = partsOf(flags.only)
      const isShort = context.outIsTerminal && flags.trunc !== false
      const upstream = connect(context, flags)
      const open = async (name: string): Promise<Side> => {
        const reference = parseImage(name)
        return { image: reference, ...(await openImage(upstream, reference, flags, context.env)) }
      }
      const [before, after] = [await open(first), await open(second)]
      const isSame = before.fetched.digest === after.fetched.digest
      const asked = (part: Part) => parts.includes(part) && !isSame
      const config = asked('config')
        ? configChanges(await configOf(upstream, before), await configOf(upstream, after))
        : []
      const layers = layersOf(before.manifest.layers, after.manifest.layers)
      const files = asked('files') ? await filesOf(before, after, flags) : []
      const changes = [
        ...config.map(({ name, before: old, after: now }) => ({
          ...{ part: 'config', change: old === undefined ? 'added' : now === undefined ? 'removed' : 'changed', name },
          ...{ before: old ?? null, after: now ?? null },
        })),
        ...(asked('layers') ? [...layers.removed, ...layers.added] : []).map(({ change, digest, size }) => ({
          ...{ part: 'layers', change, name: digest },
          ...{ before: change === 'removed' ? size : null, after: change === 'added' ? size : null },
        })),
        ...files.map((change) => ({ part: 'files', ...changeRow(change, before.sources, after.sources) })),
      ]
      show(context, format, {
        whole: {
          before: { name: formatImage(before.image), digest: before.fetched.digest },
          after: { name: formatImage(after.image), digest: after.fetched.digest },
          ...{ sharedLayers: layers.shared.map(({ digest }) => digest), changes },
        },
        list: { name: 'changes', rows: changes },
        text: [
          ...sectionOf('Configuration', config.map(configLine)),
          ...(asked('layers')
            ? sectionOf(`Layers (${layers.shared.length} shared)`, [...layers.removed, ...layers.added].map(layerLine))
            : []),
          ...sectionOf('Files', files.map(changeLine)),
        ]
          .map((line) => `${printable(isShort ? shortDigests(line) : line)}\n`)
          .join(''),
      })
      if (flags.exitCode && changes.length > 0) throw new Differs()
    })
}

function partsOf(text: string | undefined): readonly Part[] {
  if (text === undefined) return PARTS
  const parts = text.split(',')
  const isPart = (part: string): part is Part => (PARTS as readonly string[]).includes(part)
  if (parts.every(isPart)) return parts
  throw new UpstreamError('usage', `--only: ${JSON.stringify(text)} names no parts`, {
    hint: `--only ${PARTS.join(',')}`,
  })
}

async function configOf(upstream: Upstream, { image, manifest }: Side): Promise<Record<string, unknown>> {
  return (manifest.config && (await readConfig(upstream, image, manifest.config)).json) ?? {}
}

type Layer = Pick<Descriptor, 'digest' | 'size'> & { change: 'shared' | 'removed' | 'added' }

function layersOf(before: readonly Descriptor[], after: readonly Descriptor[]) {
  const left = after.map(({ digest }) => digest)
  const old = before.map(({ digest, size }): Layer => {
    const at = left.indexOf(digest)
    if (at !== -1) left.splice(at, 1)
    return { digest, size, change: at === -1 ? 'removed' : 'shared' }
  })
  const shared = old.filter(({ change }) => change === 'shared')
  const kept = shared.map(({ digest }) => digest)
  const added = after.flatMap(({ digest, size }): Layer[] => {
    const at = kept.indexOf(digest)
    if (at === -1) return [{ digest, size, change: 'added' }]
    kept.splice(at, 1)
    return []
  })
  return { shared, removed: old.filter(({ change }) => change === 'removed'), added }
}

/** A layer that both have is read once. */
async function filesOf(before: Side, after: Side, flags: DiffFlags): Promise<FileChange[]> {
  const budget = budgetOf(flags)
  const known = new Map<string, LayerEntry[]>()
  const treeOf = async ({ sources }: Side): Promise<Tree> => {
    const tree = createTree(budget)
    for (const source of sources) {
      const entries = known.get(source.digest) ?? (await indexLayer(source, budget, { hash: true }))
      known.set(source.digest, entries)
      tree.apply(entries)
    }
    return tree
  }
  return diffTrees(await treeOf(before), await treeOf(after))
}

function sectionOf(title: string, rows: readonly string[]): string[] {
  return rows.length === 0 ? [] : [title, ...rows.map((row) => `  ${row}`)]
}

function configLine({ name, before, after }: ConfigChange): string {
  if (before === undefined) return `+ ${name}  ${after}`
  return after === undefined ? `- ${name}  ${before}` : `~ ${name}  ${before} → ${after}`
}

function layerLine({ change, digest, size }: Layer): string {
  return `${SIGNS[change]} ${digest}  ${bytesText(size)}`
}
