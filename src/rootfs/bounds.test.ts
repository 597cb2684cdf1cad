import { describe, expect, test } from 'bun:test'
import { file, folder, makeTar, pax, symlink, type TarPart } from '../../test/tar.ts'
import { createBudget, DEFAULT_LIMITS, type Limits } from '../archive/budget.ts'
import { indexLayer, type LayerEntry, type LayerSource } from './layer.ts'
import { readFile } from './read-file.ts'
import { createTree } from './tree.ts'

/** Images that are made to keep their readers busy. Work that grew with the square of their size would outlast any test. */
const budgetOf = (limits: Partial<Limits> = {}) => createBudget({ ...DEFAULT_LIMITS, ...limits })

function sourceOf(bytes: Uint8Array): LayerSource {
  return {
    digest: 'sha256:0',
    mediaType: 'tar',
    open: async () =>
      (async function* () {
        yield bytes
      })(),
  }
}

const entriesOf = (parts: readonly TarPart[]) => indexLayer(sourceOf(makeTar(parts)), budgetOf())
const named = (entry: LayerEntry | undefined, change: Partial<LayerEntry>): LayerEntry => {
  if (entry === undefined) throw new Error('there is no entry')
  return { ...entry, ...change }
}
const count = <T>(items: Iterable<T>) => [...items].length

test('names that lead through links are bounded, and the limit has a name', async () => {
  const deep = Array.from({ length: 1000 }, () => 'd').join('/')
  const [link, under] = await entriesOf([symlink('l', 'target'), file('l/x')])
  const entries = [
    named(link, { link: deep }),
    ...Array.from({ length: 5 }, (_, at) => named(under, { path: `l/${at}` })),
  ]
  const tree = createTree(budgetOf({ links: 5000 }))
  tree.apply(entries)
  expect(count(tree.list('')) - 1).toBe(1000 + 5)
  expect(() => createTree(budgetOf({ links: 4999 })).apply(entries)).toThrow(
    expect.objectContaining({
      fault: 'limit',
      message: 'its links lead through more than 4999 parts of names',
      hint: 'to read it all the same add --limit links=19996',
    }),
  )
})

test('a layer that an image has ten thousand times counts each time', async () => {
  const entries = await entriesOf([folder('a/'), file('a/b')])
  const tree = createTree(budgetOf({ entries: 20_000 }))
  for (let layer = 0; layer < 10_000; layer++) tree.apply(entries)
  expect([...tree.list('')].map(({ path, layer }) => [path, layer])).toEqual([
    ['a', 9999],
    ['a/b', 9999],
  ])
  expect(() => tree.apply(entries)).toThrow('its layers have more than 20000 files')
})

describe('whiteouts again and again', () => {
  const SIZE = 100_000

  test.each<[string, (opaque: LayerEntry, whiteout: LayerEntry, directory: LayerEntry) => LayerEntry[]]>([
    ['of the root', (opaque) => [named(opaque, { path: '' })]],
    ['of a directory', (opaque) => [opaque]],
    ['of a name', (_, whiteout) => [whiteout]],
    ['of a directory that is named again each time', (opaque, _, directory) => [directory, opaque]],
  ])('%s', async (_, repeated) => {
    const [directory, inside, opaque, whiteout] = await entriesOf([
      ...[folder('d/'), file('d/x'), file('d/.wh..wh..opq'), file('.wh.d')],
    ])
    const files = Array.from({ length: SIZE }, (_, at) => named(inside, { path: `d/${at}` }))
    const tree = createTree(budgetOf())
    tree.apply([named(inside, { path: 'd/below' })])
    const again = repeated(named(opaque, {}), named(whiteout, {}), named(directory, {}))
    tree.apply([named(directory, {}), ...files, ...Array.from({ length: SIZE }, () => again).flat()])
    // What the layer itself has stays, and what was below is gone.
    expect(count(tree.list('d'))).toBe(SIZE)
    expect(tree.find('d/below').kind).toBe('missing')
  })
})

describe('cat of an image', () => {
  const SIZE = 25_000
  const cat = async (bytes: Uint8Array, limits: Partial<Limits> = {}) => {
    let text = ''
    const outcome = await readFile([sourceOf(bytes)], 'etc/passwd', budgetOf(limits), async ({ content }) => {
      for await (const chunk of content) text += Buffer.from(chunk).toString()
    })
    return `${outcome.kind} ${text}`
  }

  test('whose names are many below no directory, and one of them many times', async () => {
    const parts = Array.from({ length: SIZE }, (_, at) => [file(`no/${at}`), folder('etc/')]).flat()
    expect(await cat(makeTar([...parts, file('etc/passwd', 'root')]))).toBe('read root')
  })

  test('whose links make one name long, and each part of it comes again and again, is bounded', async () => {
    const deep = Array.from({ length: 49 }, () => 'd').join('/')
    const parts = Array.from({ length: 1000 }, () => folder('d/'))
    const bytes = makeTar([folder('etc/'), symlink('etc/passwd', `/${deep}`), ...parts])
    expect(await cat(bytes)).toBe('missing ')
    await expect(cat(bytes, { links: 10_000 })).rejects.toMatchObject({ fault: 'limit' })
  })
})

test('what a global header says is not carried by each of a twenty thousand files', async () => {
  const records = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`comment.${at}`, 'x']))
  const parts = Array.from({ length: 20_000 }, (_, at) => file(`f${at}`))
  const bytes = makeTar([pax({ ...records, uid: '7' }, 'g'), ...parts])
  const entries = await indexLayer(sourceOf(bytes), budgetOf())
  expect([entries.length, new Set(entries.map(({ uid }) => uid))]).toEqual([parts.length, new Set([7])])
})
