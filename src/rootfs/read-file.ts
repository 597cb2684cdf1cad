import { type Budget, createBudget } from '../archive/budget.ts'
import { createKnown, type Verdict } from './known.ts'
import { indexLayer, type LayerEntry, type LayerFile, type LayerSource, readLayer } from './layer.ts'
import { safeName } from './name.ts'
import { createTree, type Found } from './tree.ts'

/** Why there are no bytes of a name. */
export type NoFile = 'directory' | 'missing' | 'not-directory' | 'loop' | 'special'

export type ReadOutcome = { kind: 'read'; layer: number; entry: LayerEntry } | { kind: NoFile; path: string }

/**
 * Gives the bytes of a file of an image to `take`, links followed within the image. Layers are read from the newest down, and no
 * further than to the file: a layer has a name once (OCI Image Specification 1.1, "Distributable Format"). Names that were read are
 * kept, bytes are not. @throws ArchiveError, and whatever a source or `take` throws
 */
export async function readFile(
  layers: readonly LayerSource[],
  path: string,
  budget: Budget,
  take: (file: LayerFile, layer: number) => Promise<void>,
): Promise<ReadOutcome> {
  const wanted = safeName(path).path
  if (wanted === '') return { kind: 'directory', path: '' }
  const known = createKnown(budget.image())
  const read: LayerEntry[][] = []

  for (let index = layers.length - 1; index >= 0; index--) {
    const source = layers[index]
    if (source === undefined) continue
    const layer = known.layer(index)
    let verdict = known.ask(wanted)
    if (verdict.kind === 'unsure') break
    for await (const file of readLayer(source, budget)) {
      layer.add(file.entry)
      if (verdict.kind !== 'more' || !verdict.paths.has(file.entry.path)) continue
      verdict = known.ask(wanted)
      if (verdict.kind === 'file' && verdict.layer === index && verdict.entry === file.entry) {
        await take(file, index)
        return { kind: 'read', layer: index, entry: file.entry }
      }
      if (isFinal(verdict)) return await end(verdict)
    }
    layer.end()
    read[index] = [...layer.entries]
    verdict = known.ask(wanted)
    if (isFinal(verdict)) return await end(verdict)
  }
  const verdict = known.ask(wanted)
  if (verdict.kind !== 'more') return await throughTree()
  return { kind: verdict.isImplied ? 'directory' : 'missing', path: wanted }

  /** Of what comes before the file in its layer, or in a layer that has been read. */
  async function end(verdict: Exclude<Verdict, { kind: 'more' | 'unsure' }>): Promise<ReadOutcome> {
    return verdict.kind === 'file' ? await again(verdict.layer, verdict.entry) : verdict
  }

  /** The names of all layers, laid over each other as a runtime does. */
  async function throughTree(): Promise<ReadOutcome> {
    const tree = createTree(budget)
    for (const [index, source] of layers.entries()) tree.apply(read[index] ?? (await indexLayer(source, budget)))
    const found: Found = tree.find(wanted)
    if (found.kind !== 'found') return found
    const { kind, entry, layer, path: at } = found.file
    if (kind === 'directory') return { kind, path: at }
    if (kind !== 'file' || entry === undefined) return { kind: kind === 'link' ? 'missing' : 'special', path: at }
    return await again(layer, entry)
  }

  async function again(layer: number, { at }: LayerEntry): Promise<ReadOutcome> {
    const source = layers[layer]
    if (source !== undefined) {
      // What was counted before is not counted twice.
      for await (const file of readLayer(source, createBudget(budget.limits))) {
        if (file.entry.at !== at) continue
        await take(file, layer)
        return { kind: 'read', layer, entry: file.entry }
      }
    }
    throw new Error(`layer ${layer} has lost its file ${at}`)
  }
}

function isFinal(verdict: Verdict): verdict is Exclude<Verdict, { kind: 'more' | 'unsure' }> {
  return verdict.kind !== 'more' && verdict.kind !== 'unsure'
}
