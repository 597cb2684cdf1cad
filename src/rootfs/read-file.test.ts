import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { file, folder, hardLink, makeTar, symlink, type TarPart } from '../../test/tar.ts'
import { createBudget } from '../archive/budget.ts'
import { indexLayer, type LayerSource, noOddities } from './layer.ts'
import { readFile } from './read-file.ts'
import { createTree } from './tree.ts'

/** Layers, the lowest first, and how often each was opened and how many of its bytes were taken. */
function layersOf(all: readonly (readonly TarPart[])[]) {
  const opened = all.map(() => 0)
  const taken = all.map(() => 0)
  const sources = all.map(
    (parts, index): LayerSource => ({
      digest: `sha256:${index}`,
      mediaType: 'tar',
      async open() {
        opened[index] = (opened[index] ?? 0) + 1
        const bytes = makeTar(parts)
        return (async function* () {
          for (let at = 0; at < bytes.length; at += 512) {
            taken[index] = (taken[index] ?? 0) + 512
            yield bytes.subarray(at, at + 512)
          }
        })()
      },
    }),
  )
  return { sources, opened, taken }
}

async function cat(sources: readonly LayerSource[], path: string): Promise<string> {
  let text = ''
  const outcome = await readFile(sources, path, createBudget(), async ({ content }) => {
    for await (const chunk of content) text += Buffer.from(chunk).toString()
  })
  return outcome.kind === 'read' ? text : `<${outcome.kind}>`
}

async function treeOf(sources: readonly LayerSource[]) {
  const tree = createTree()
  for (const source of sources) tree.apply(await indexLayer(source, createBudget()))
  return tree
}

async function list(all: readonly (readonly TarPart[])[], path = ''): Promise<string[]> {
  const tree = await treeOf(layersOf(all).sources)
  return [...tree.list(path)].map(({ path: at, kind }) => (kind === 'directory' ? `${at}/` : at))
}

const BASE: TarPart[] = [
  folder('bin/'),
  file('bin/sh', 'sh 0'),
  folder('etc/'),
  file('etc/passwd', 'passwd 0'),
  file('etc/group', 'group 0'),
  folder('var/'),
  folder('var/log/'),
  file('var/log/a', 'a 0'),
  file('var/log/b', 'b 0'),
]

describe('layers are laid over each other', () => {
  test.each<[string, TarPart[][], string[]]>([
    ['one alone', [[file('./a/b'), file('/c')]], ['a/', 'a/b', 'c']],
    [
      'a file goes',
      [BASE, [folder('etc/'), file('etc/.wh.passwd')]],
      ['bin/', 'bin/sh', 'etc/', 'etc/group', 'var/', 'var/log/', 'var/log/a', 'var/log/b'],
    ],
    [
      'a directory goes with all in it',
      [BASE, [file('.wh.var'), file('.wh.bin')]],
      ['etc/', 'etc/group', 'etc/passwd'],
    ],
    [
      'an opaque directory has what its own layer says, before or after',
      [
        BASE,
        [file('var/log/new'), file('var/log/.wh..wh..opq'), file('var/log/other'), file('.wh.etc'), file('.wh.bin')],
      ],
      ['var/', 'var/log/', 'var/log/new', 'var/log/other'],
    ],
    ['what a layer says itself it does not take away', [[file('a/b')], [file('.wh.a'), file('a/c')]], ['a/', 'a/c']],
    ['what goes may come again', [[file('a')], [file('.wh.a')], [file('a')]], ['a']],
    ['a file in the place of a directory', [[file('a/b')], [file('a')]], ['a']],
    ['a directory in the place of a file', [[file('a')], [folder('a/')]], ['a/']],
    ['something in a file', [[file('a')], [file('a/b')]], ['a/', 'a/b']],
    [
      'through a link of below',
      [[folder('usr/'), folder('usr/bin/'), symlink('bin', 'usr/bin')], [file('bin/x')]],
      ['bin', 'usr/', 'usr/bin/', 'usr/bin/x'],
    ],
    [
      'a directory in the place of a link',
      [
        [file('usr/bin/x'), symlink('bin', 'usr/bin')],
        [folder('bin/'), file('bin/y')],
      ],
      ['bin/', 'bin/y', 'usr/', 'usr/bin/', 'usr/bin/x'],
    ],
    ['what AUFS keeps', [[file('.wh..wh.plnk/1'), file('.wh..wh.aufs'), file('a')]], ['a']],
    ['names that lead out', [[file('../../etc/passwd'), file('a/../../b'), file('/..')]], ['b', 'etc/', 'etc/passwd']],
    [
      'links that lead out, and things in them',
      [
        [symlink('out', '../../..'), symlink('up', '/../..'), folder('up2/')],
        [file('out/x'), file('up/y')],
      ],
      ['out', 'up', 'up2/', 'x', 'y'],
    ],
    [
      'links in a circle, and things in them',
      [
        [symlink('a', 'b'), symlink('b', 'a')],
        [file('a/x'), file('c')],
      ],
      ['a', 'b', 'c'],
    ],
  ])('%s', async (_, layers, expected) => {
    const names = await list(layers)
    expect(names).toEqual(expected)
  })

  test('names that lead out are counted, and the first is said', async () => {
    const odd = noOddities()
    const { sources } = layersOf([[file('../x'), file('a/..'), file('.wh...'), file('..'), file('ok')]])
    for (const source of sources) await indexLayer(source, createBudget(), { odd })
    expect(odd).toEqual({ count: 4, first: '../x' })
  })

  test('a hard link has what it is a link to, and one to nothing is said to be one', async () => {
    const tree = await treeOf(
      layersOf([[file('a', 'abc'), hardLink('b', 'a')], [hardLink('c', '/b'), hardLink('d', 'none')], [file('a', 'x')]])
        .sources,
    )
    const files = [...tree.list('')].map(({ path, kind, entry, layer }) => [path, kind, entry?.size, layer])
    expect(files).toEqual([
      ['a', 'file', 1, 2],
      ['b', 'file', 3, 0],
      ['c', 'file', 3, 0],
      ['d', 'link', 0, 1],
    ])
  })

  test('ladders of links make no names that no system takes', async () => {
    const rung = Array(40).fill('d'.repeat(90)).join('/')
    const long = { name: '', flag: 'L', bytes: `${rung}/\0` }
    const layers = Array.from({ length: 20 }, (_, at): TarPart[] => [
      { ...long, bytes: at === 0 ? long.bytes : `l${at - 1}/${rung}/\0` },
      folder('x/'),
      { name: '', flag: 'K', bytes: `${at === 0 ? rung : `l${at - 1}/${rung}`}\0` },
      symlink(`l${at}`, ''),
    ])
    const names = await list(layers)
    expect(Math.max(...names.map((name) => name.length))).toBeLessThanOrEqual(4097)
  })
})

describe('a file is read', () => {
  test.each<[string, TarPart[][], string, string, number[]]>([
    [
      'from the newest layer, and none below',
      [BASE, BASE, [folder('etc/'), file('etc/passwd', 'new')]],
      '/etc/passwd',
      'new',
      [0, 0, 1],
    ],
    ['from below, where those above say nothing', [BASE, [file('x')]], 'etc/passwd', 'passwd 0', [1, 1]],
    [
      'not where it was taken away',
      [BASE, [file('etc/.wh.passwd')], [file('x')]],
      'etc/passwd',
      '<missing>',
      [0, 1, 1],
    ],
    [
      'not where all of its directory was',
      [BASE, [folder('etc/'), file('etc/.wh..wh..opq')]],
      'etc/passwd',
      '<missing>',
      [0, 1],
    ],
    ['not below a file', [BASE, [file('etc')]], 'etc/passwd', '<not-directory>', [0, 1]],
    ['not where nothing is', [BASE], 'etc/none', '<missing>', [1]],
    ['not of a directory', [BASE], 'etc', '<directory>', [1]],
    ['not of the root', [BASE], '/', '<directory>', [0]],
    ['not of a device', [[{ name: 'dev', flag: '3' }]], 'dev', '<special>', [1]],
    [
      'through a link beside it',
      [BASE, [folder('etc/'), file('etc/a', 'A'), symlink('etc/b', 'a')]],
      'etc/b',
      'A',
      [0, 2],
    ],
    [
      'through a link before it',
      [BASE, [folder('etc/'), symlink('etc/a', 'b'), file('etc/b', 'B')]],
      'etc/a',
      'B',
      [0, 1],
    ],
    [
      'through a link to a layer above',
      [[folder('l/'), symlink('l/a', '/etc/passwd')], BASE],
      'l/a',
      'passwd 0',
      [1, 2],
    ],
    [
      'through a link in its way',
      [[folder('usr/'), folder('usr/bin/'), file('usr/bin/x', 'X'), symlink('bin', 'usr/bin')]],
      'bin/x',
      'X',
      [2],
    ],
    [
      'through links that would lead out',
      [[file('etc/passwd', 'in'), symlink('a', '../../../etc/passwd')]],
      'a',
      'in',
      [2],
    ],
    ['not through links in a circle', [[symlink('a', 'b'), symlink('b', 'a')]], 'a', '<loop>', [1]],
    ['not through a link to itself below itself', [[symlink('a', 'a/a')]], 'a', '<loop>', [1]],
    ['through a hard link', [[file('a', 'A'), hardLink('b', 'a')]], 'b', 'A', [2]],
    [
      'through a hard link to what a layer above changed',
      [[file('a', 'A'), hardLink('b', 'a')], [file('a', 'new')]],
      'b',
      'A',
      [2, 1],
    ],
    ['not through a hard link to nothing', [[hardLink('b', 'a')]], 'b', '<missing>', [1]],
    [
      'that a layer above has under another name',
      [
        [folder('usr/'), folder('usr/bin/'), file('usr/bin/sh', 'old'), symlink('bin', 'usr/bin')],
        [file('bin/sh', 'new')],
      ],
      'usr/bin/sh',
      'new',
      [1, 2],
    ],
    [
      'that a layer above takes away under another name',
      [[folder('usr/'), file('usr/sh', 'old'), symlink('bin', 'usr')], [file('bin/.wh.sh')]],
      'usr/sh',
      '<missing>',
      [1, 1],
    ],
    [
      'not below a link that a new directory replaced',
      [[folder('z/'), file('z/x', 'Z'), symlink('a', 'z')], [folder('a/')]],
      'a/x',
      '<missing>',
      [1, 1],
    ],
    ['by a name that leads out', [BASE], '../../etc/./passwd', 'passwd 0', [1]],
  ])('%s', async (_, layers, path, expected, opened) => {
    const made = layersOf(layers)
    expect(await cat(made.sources, path)).toBe(expected)
    expect(made.opened).toEqual(opened)
  })

  test('and what comes after it in its layer is not', async () => {
    const { sources, taken } = layersOf([
      [file('a', 'A'), ...Array.from({ length: 100 }, (_, at) => file(`n${at}`, 'x'.repeat(512)))],
    ])
    expect(await cat(sources, 'a')).toBe('A')
    expect(taken[0]).toBeLessThanOrEqual(4 * 512)
  })
})

/** Layers of few names, so that they meet. */
const NAME = fc.constantFrom('a', 'b', 'c')
const PATH = fc.array(NAME, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
const LINK = fc.oneof(
  PATH,
  PATH.map((path) => `/${path}`),
  PATH.map((path) => `../${path}`),
  fc.constantFrom('..', '../..', '/'),
)
const PART = fc.oneof(
  PATH.map((path): TarPart => file(path)),
  PATH.map((path): TarPart => folder(`${path}/`)),
  fc.tuple(PATH, LINK).map(([path, link]): TarPart => symlink(path, link)),
  fc.tuple(PATH, PATH).map(([path, link]): TarPart => hardLink(path, link)),
  PATH.map((path): TarPart => file(path.replace(/[^/]+$/, '.wh.$&'))),
  PATH.map((path): TarPart => file(`${path}/.wh..wh..opq`)),
)
const LAYER = fc.uniqueArray(PART, { maxLength: 6, selector: ({ name }) => name.replace(/\/$/, '') })

test('what is read early is what all layers together say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(LAYER, { minLength: 1, maxLength: 4 }), PATH, async (layers, path) => {
      const named = layers.map((parts, layer) =>
        inOrder(parts).map((part, at) => ({ ...part, bytes: part.flag === undefined ? `${layer}.${at}` : '' })),
      )
      const { sources } = layersOf(named)
      fc.pre(await haveNamesOnce(sources))
      const found = (await treeOf(sources)).find(path)
      // Why there is no file is a matter of words.
      const isFile = found.kind === 'found' && found.file.kind === 'file'
      const read = await cat(sources, path)
      expect(read.startsWith('<') ? 'no file' : read).toBe(
        isFile ? `${found.file.layer}.${found.file.entry?.at}` : 'no file',
      )
    }),
    { numRuns: 800, seed: 20_260_101 },
  )
})

/**
 * Whether every name of a layer leads somewhere, no two to the same through a link ("MUST NOT include duplicate entries for
 * file paths", as read early), and none through a link to below a file.
 */
async function haveNamesOnce(sources: readonly LayerSource[]): Promise<boolean> {
  const tree = createTree()
  for (const source of sources) {
    const entries = await indexLayer(source, createBudget())
    const places = () =>
      entries.map(({ path, kind }) => {
        const asked = kind === 'opaque' ? path : path.replace(/(^|\/)[^/]+$/, '')
        const parent = tree.find(asked)
        // No runtime takes such a layer: it would make a directory of a file behind a link.
        const end = parent.kind === 'found' ? parent.file.path : parent.path
        const isFile = parent.kind === 'found' ? parent.file.kind !== 'directory' : parent.kind === 'not-directory'
        if (parent.kind === 'loop' || (isFile && !`${asked}/`.startsWith(`${end}/`))) return { place: '', kind }
        const above = parent.kind === 'found' ? parent.file.path : asked
        const place = `/${above}/${kind === 'opaque' ? '' : path.replace(/.*\//, '')}`.replace(/^\/+/, '/')
        return { place, kind }
      })
    const before = places()
    tree.apply(entries)
    for (const all of [before, places()]) {
      const names = all.map(({ place }) => place)
      if (names.includes('') || new Set(names).size < names.length) return false
      const files = all.filter(({ kind }) => !['directory', 'whiteout', 'opaque'].includes(kind))
      if (files.some(({ place }) => names.some((name) => name.startsWith(`${place}/`)))) return false
    }
  }
  return true
}

/** As an archive of a file system has them: what is in a directory comes after it, and nothing is below a file of the same layer. */
function inOrder(parts: readonly TarPart[]): TarPart[] {
  const plain = (part: TarPart) => part.name.replace(/\/$/, '')
  const leaves = new Set(parts.filter(({ flag, name }) => flag !== '5' && !name.includes('.wh.')).map(plain))
  const isBelow = (name: string) => [...leaves].some((leaf) => name.startsWith(`${leaf}/`))
  return parts.filter((part) => !isBelow(plain(part))).toSorted((a, b) => (plain(a) < plain(b) ? -1 : 1))
}
