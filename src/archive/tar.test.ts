import { describe, expect, test } from 'bun:test'
import { noise } from '../../test/image.ts'
import { file, folder, hardLink, makeTar, pack, pax, symlink, type TarPart } from '../../test/tar.ts'
import { createBudget, DEFAULT_LIMITS, type Limits, parseLimit } from './budget.ts'
import { expand } from './expand.ts'
import { readTar, type TarEntry } from './tar.ts'

/** Bytes that come in pieces, and what was taken of them. */
function source(bytes: Uint8Array, piece = 64 * 1024) {
  const end = Promise.withResolvers<void>()
  const taken = { bytes: 0, end: end.promise }
  async function* body() {
    try {
      for (let at = 0; at < bytes.length; at += piece) {
        const part = bytes.subarray(at, at + piece)
        taken.bytes += part.length
        yield part
      }
    } finally {
      end.resolve()
    }
  }
  return { body: body(), taken }
}

async function readAll(bytes: Uint8Array, limits: Partial<Limits> = {}, piece?: number) {
  const account = createBudget({ ...DEFAULT_LIMITS, ...limits }).archive('layer x')
  const { body, taken } = source(bytes, piece)
  const read: { entry: TarEntry; text: string }[] = []
  const { bytes: expanded, compression } = await expand(body, account)
  for await (const { entry, content } of readTar(expanded, account, { needsEnd: compression === 'zstd' })) {
    read.push({ entry, text: Buffer.concat(await Array.fromAsync(content)).toString() })
  }
  await taken.end
  expect(taken.bytes).toBe(bytes.length)
  return read
}

const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no fault',
    (error: { fault?: string; message: string; hint?: string }) => `${error.fault}: ${error.message}`,
  )

const entry = (name: string, more: Partial<TarEntry> = {}): TarEntry => ({
  ...{
    name,
    kind: 'file',
    size: 0,
    mode: 0o644,
    uid: 0,
    gid: 0,
    modified: 0,
    link: '',
    attributes: '',
    isSparse: false,
  },
  ...more,
})

const PARTS: TarPart[] = [
  folder('etc/'),
  file('etc/passwd', 'root', { mode: 0o4755, uid: 7, gid: 8, modified: 1_700_000_000 }),
  symlink('bin', 'usr/bin'),
  hardLink('etc/again', 'etc/passwd'),
  file('last', 'x'.repeat(1000)),
]

describe('an archive is read as it was written', () => {
  const expected = [
    { entry: entry('etc/', { kind: 'directory', mode: 0o755 }), text: '' },
    { entry: entry('etc/passwd', { size: 4, mode: 0o4755, uid: 7, gid: 8, modified: 1_700_000_000 }), text: 'root' },
    { entry: entry('bin', { kind: 'symlink', link: 'usr/bin', mode: 0o777 }), text: '' },
    { entry: entry('etc/again', { kind: 'link', link: 'etc/passwd' }), text: '' },
    { entry: entry('last', { size: 1000 }), text: 'x'.repeat(1000) },
  ]
  test.each(['none', 'gzip', 'zstd'] as const)('packed with %s, in one piece or byte by byte', async (packing) => {
    const bytes = pack(makeTar(PARTS), packing)
    for (const piece of [1, 700, 1 << 20]) expect(await readAll(bytes, {}, piece)).toEqual(expected)
  })

  test('with several members of gzip, and frames of zstd with what is no data between', async () => {
    const whole = makeTar(PARTS)
    const [first, second] = [whole.subarray(0, 1000), whole.subarray(1000)]
    const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
    expect(await readAll(Buffer.concat([pack(first, 'gzip'), pack(second, 'gzip')]))).toEqual(expected)
    expect(
      await readAll(Buffer.concat([skipped, pack(first, 'zstd'), skipped, pack(second, 'zstd'), skipped])),
    ).toEqual(expected)
  })

  test('without an end, or with nothing in it', async () => {
    expect(await readAll(makeTar(PARTS, { isEnded: false }))).toEqual(expected)
    expect(await readAll(new Uint8Array(0))).toEqual([])
    expect(await readAll(pack(makeTar([]), 'gzip'))).toEqual([])
  })

  test('with pax headers and those of GNU, for the next file alone', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}`
    const read = await readAll(
      makeTar([
        pax({ mtime: '1700000001' }, 'g'),
        pax({ path: long, linkpath: 'ü', uid: '4000000', 'SCHILY.xattr.security.capability': 'cap', size: '3' }),
        file('short', 'abc', { size: 1 }),
        { name: '././@LongLink', flag: 'L', bytes: `${long}\0` },
        { name: '././@LongLink', flag: 'K', bytes: `${long}2\0` },
        symlink('short', 'short'),
        file('next'),
        file('dir/'),
      ]),
    )
    const modified = 1_700_000_001
    expect(read.map((one) => one.entry)).toEqual([
      entry(long, { size: 3, uid: 4_000_000, modified, attributes: 'security.capability=cap' }),
      entry(long, { kind: 'symlink', mode: 0o777, link: `${long}2`, modified }),
      entry('next', { modified }),
      entry('dir/', { kind: 'directory', modified }),
    ])
  })

  test('with names that are no UTF-8, each its own', async () => {
    const named = (byte: number) => {
      const bytes = makeTar([file('aX')])
      bytes[1] = byte
      // The sum of the header, anew.
      bytes.write('        ', 148)
      bytes.write(
        `${bytes
          .subarray(0, 512)
          .reduce((a, b) => a + b, 0)
          .toString(8)
          .padStart(6, '0')}\0 `,
        148,
      )
      return bytes
    }
    expect((await readAll(named(0xe9)))[0]?.entry.name).toBe('a\\xe9')
    expect((await readAll(named(0xe8)))[0]?.entry.name).toBe('a\\xe8')
  })

  test('with the size of a sparse file, whose bytes are passed by', async () => {
    const old = makeTar([{ ...file('s', 'ab'), flag: 'S' }, file('next', 'n')])
    old.write('00000002000\0', 483)
    old[482] = 1
    old.write('        ', 148)
    old.write(
      `${old
        .subarray(0, 512)
        .reduce((a, b) => a + b, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    const withMap = Buffer.concat([old.subarray(0, 512), Buffer.alloc(512), old.subarray(512)])
    const posix = makeTar([
      pax({ 'GNU.sparse.major': '1', 'GNU.sparse.name': 's', 'GNU.sparse.realsize': '1024' }),
      file('GNUSparseFile.0/s', 'map'),
      file('next', 'n'),
    ])
    for (const bytes of [withMap, posix]) {
      const [sparse, next] = await readAll(bytes)
      expect(sparse?.entry).toEqual(entry('s', { size: 1024, isSparse: true }))
      expect([next?.entry.name, next?.text]).toEqual(['next', 'n'])
    }
  })
})

describe('what is wrong is told, and nothing is read on', () => {
  const gzip = pack(makeTar([file('a', 'x'.repeat(5000))]), 'gzip')
  const zstd = pack(makeTar([file('a', 'x'.repeat(5000))]), 'zstd')
  const broken = Buffer.from(gzip)
  broken.writeUInt8((broken[gzip.length - 8] ?? 0) ^ 0xff, gzip.length - 8)
  const plain = makeTar([file('a', 'x'.repeat(5000))])
  test.each<[string, Uint8Array, Partial<Limits>, RegExp]>([
    [
      'a cut gzip',
      gzip.subarray(0, gzip.length - 9),
      {},
      /^damaged: layer x is damaged: its gzip stream ends too early/,
    ],
    ['gzip with a wrong sum', broken, {}, /^damaged: .*cannot be expanded \(incorrect data check\)/],
    ['a cut zstd', zstd.subarray(0, zstd.length - 9), {}, /^damaged: .* ends too early/],
    ['nothing but the beginning of zstd', zstd.subarray(0, 6), {}, /^damaged: .* ends too early/],
    ['a cut file', plain.subarray(0, 1000), {}, /^damaged: .* in the middle of a file/],
    ['a cut header', plain.subarray(0, 100), {}, /^(damaged|no fault)/],
    ['no archive', Buffer.from('{"json":true}'.repeat(100)), {}, /^unsupported: layer x is no tar archive/],
    [
      'something between files',
      Buffer.concat([makeTar([file('a')], { isEnded: false }), Buffer.alloc(512, 'x')]),
      {},
      /^damaged: .*something else/,
    ],
    ['bzip2', Buffer.from('BZh91AY'), {}, /^unsupported: .*bzip2/],
    ['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), {}, /^unsupported: .*xz/],
    [
      'a pax header of gigabytes',
      makeTar([{ name: 'p', flag: 'x', size: 7_000_000_000 }]),
      {},
      /^limit: .* a header of 7000000000 bytes/,
    ],
    [
      'a long name of gigabytes',
      makeTar([{ name: 'p', flag: 'L', size: 7_000_000_000 }]),
      {},
      /^limit: .* a header of/,
    ],
    [
      'a pax header that is none',
      makeTar([{ name: 'p', flag: 'x', bytes: '99 path=x\n' }]),
      {},
      /^damaged: .*pax header/,
    ],
    [
      'a name beyond all names',
      makeTar([pax({ path: 'n'.repeat(5000) }), file('a')]),
      {},
      /^limit: .*name of 5000 bytes/,
    ],
    ['too many files', makeTar([file('a'), file('b'), file('c')]), { entries: 2 }, /^limit: .*more than 2 files/],
    ['too many names', makeTar([file('aaaaaa'), file('bbbbbb')]), { names: 10 }, /^limit: .*names of more/],
    [
      'a zstd that asks for two gigabytes of memory',
      Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0]),
      {},
      /^unsupported: layer x is not expanded: .* more than the 128 MiB/,
    ],
    ['too many bytes', gzip, { layer: 4000 }, /^limit: .*expands to more than/],
  ])('%s', async (_, bytes, limits, expected) => {
    expect(await faultOf(readAll(bytes, limits))).toMatch(expected)
  })

  test.each(['gzip', 'zstd'] as const)(
    'what comes behind %s is read to its end, where its check stands',
    async (packing) => {
      const account = createBudget().archive('layer x')
      async function* body() {
        yield pack(makeTar([file('a')]), packing)
        yield new Uint8Array(100_000)
        throw new Error('these are other bytes')
      }
      const { bytes } = await expand(body(), account)
      await expect(Array.fromAsync(readTar(bytes, account))).rejects.toThrow('these are other bytes')
    },
  )

  test('a bomb, before it is big: of its bytes no more are taken than the bound needs', async () => {
    const zeros = new Uint8Array(64 * 2 ** 20)
    for (const packing of ['gzip', 'zstd'] as const) {
      const member = pack(zeros, packing)
      const bomb = Buffer.concat([
        pack(makeTar([file('zeros', '', { size: 2 ** 33 - 1 })], { isEnded: false }), packing),
        ...Array<Uint8Array>(Math.ceil((4 * 2 ** 20) / member.length)).fill(member),
      ])
      const account = createBudget().archive('layer x')
      let expanded = 0
      const { body, taken } = source(bomb, 4096)
      const read = async () => {
        const whole = await expand(body, account)
        for await (const { content } of readTar(whole.bytes, account))
          for await (const chunk of content) expanded += chunk.length
      }
      expect(await faultOf(read())).toMatch(
        /^limit: layer x expands to more than 200 times its size: it may be a zip bomb$/,
      )
      // The bound is 256 MiB: one piece of 64 KiB more was seen, and not a tenth of what is packed.
      expect(expanded).toBeLessThanOrEqual(2 ** 28 + 65_536)
      await taken.end
      expect(taken.bytes).toBeLessThan(bomb.length / 10)
    }
  })

  test('whoever stops ends the stream, with little more taken than was asked for', async () => {
    const account = createBudget().archive('layer x')
    const others = Array.from({ length: 40 }, (_, at) => file(`n${at}`, noise(60_000, `${at}`)))
    const bytes = makeTar([file('first', 'one'), ...others])
    for (const packing of ['none', 'gzip', 'zstd'] as const) {
      const packed = pack(bytes, packing)
      const { body, taken } = source(packed, 4096)
      for await (const { content } of readTar((await expand(body, account)).bytes, account)) {
        expect(Buffer.concat(await Array.fromAsync(content)).toString()).toBe('one')
        break
      }
      await taken.end
      expect(taken.bytes).toBeLessThan(packed.length / 10)
    }
  })
})

test('a limit is a name and a number of its kind', () => {
  expect(['layer=2GiB', 'ratio=1000', 'entries=5', 'names=1.5MiB'].map(parseLimit)).toEqual([
    ...[{ layer: 2 ** 31 }, { ratio: 1000 }, { entries: 5 }, { names: 1.5 * 2 ** 20 }],
  ])
  expect(parseLimit('links=7')).toEqual({ links: 7 })
  expect(['layer', 'layer=', 'layer=0', 'ratio=1GiB', 'other=1', 'toString=1', 'entries=-1'].map(parseLimit)).toEqual(
    Array(7).fill(undefined),
  )
})
