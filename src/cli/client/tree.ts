import { Command } from 'commander'
import { formatImage, parseImage } from '../../upstream/reference.ts'
import { bytesText } from '../progress.ts'
import { printable } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions, parseCount } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fetchManifest } from './image.ts'
import { mustBeWhole } from './incomplete.ts'
import { formatOption, parseFormat, show } from './output.ts'
import { createTreeReader, type TreeNode } from './tree-reader.ts'

interface TreeFlags extends ConnectionFlags {
  artifactType?: string
  depth?: number
  trunc: boolean
  format: string
}

export function treeCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('tree').argument('<image>', 'REPOSITORY[:TAG][@DIGEST]')))
    .option('--artifact-type <type>', 'only referrers of this type')
    .option('--depth <n>', 'so many levels below it; all unless told', parseCount)
    .option('--no-trunc', 'with whole digests')
    .action(async (name: string, flags: TreeFlags) => {
      const format = parseFormat(flags.format)
      const image = parseImage(name)
      const upstream = connect(context, flags)
      const { read, unread, manifests } = createTreeReader(upstream, image, flags.artifactType, flags.depth)
      const root = cut(await read(await fetchManifest(upstream, image)), flags.depth ?? Number.POSITIVE_INFINITY)
      show(context, format, {
        whole: { name: formatImage(image), ...root },
        text: textOf(formatImage(image), root, flags.trunc)
          .map((line) => `${printable(line)}\n`)
          .join(''),
      })
      mustBeWhole(context, unread, manifests(), ['manifest'])
    })
}

/** Sizes stay those of all that is beneath. */
function cut(node: TreeNode, levels: number): TreeNode {
  const below = (nodes: readonly TreeNode[]) => (levels === 0 ? [] : nodes.map((child) => cut(child, levels - 1)))
  return { ...node, children: below(node.children), referrers: below(node.referrers) }
}

/** How much there is, or why there is nothing. */
function stateOf({ isThere, problem, size }: TreeNode): string[] {
  if (!isThere) return ['not there']
  if (problem === null) return [bytesText(size)]
  return size === 0 ? [problem] : [bytesText(size), problem]
}

/** A line for each content, with the branches that lead to it. */
function textOf(name: string, root: TreeNode, isShort: boolean): string[] {
  const digestOf = ({ digest }: TreeNode) => (isShort ? digest.replace(/^(\w+:\w{12})\w*$/, '$1') : digest)
  const told = (node: TreeNode) => [digestOf(node), ...stateOf(node)].join('  ')
  const lines = [`${name}  ${root.kind}  ${told(root)}`]

  function below(node: TreeNode, indent: string): void {
    let layer = 0
    const named = [
      ...node.children.map((child) => {
        const what = child.kind === 'layer' ? `layer ${++layer}` : child.kind
        const platform = child.platform === null || child.kind === 'attestation' ? '' : `${child.platform}  `
        return { child, text: `${platform}${what}` }
      }),
      ...node.referrers.map((child) => ({ child, text: `refers to it  ${child.artifactType ?? child.kind}` })),
    ]
    for (const [index, { child, text }] of named.entries()) {
      const isLast = index === named.length - 1
      lines.push(`${indent}${isLast ? '└── ' : '├── '}${text}  ${told(child)}`)
      below(child, `${indent}${isLast ? '    ' : '│   '}`)
    }
  }

  below(root, '')
  return lines
}
