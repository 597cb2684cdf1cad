import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { later } from '../build/later.ts'
import { must } from './programs.ts'

const HOME = join(import.meta.dir, '..')

/** A project with one line of source, and what stands for its bundle: which of the two ran is what it prints. */
function project(): string {
  const home = realpathSync(mkdtempSync(join(tmpdir(), 'berth-bundle-')))
  for (const folder of ['bin', 'src/cli', 'dist/bundle']) mkdirSync(join(home, folder), { recursive: true })
  for (const file of ['bin/berth', 'bin/run-bun', 'package.json', 'tsconfig.json'])
    cpSync(join(HOME, file), join(home, file))
  mkdirSync(join(home, 'node_modules/bun/bin'), { recursive: true })
  writeFileSync(join(home, 'node_modules/.package-lock.json'), '{}')
  symlinkSync(process.execPath, join(home, 'node_modules/bun/bin/bun.exe'))
  writeFileSync(join(home, 'src/main.ts'), "console.log('source')\n")
  writeFileSync(join(home, 'src/cli/other.ts'), '')
  writeFileSync(join(home, 'dist/bundle/main.js'), "console.log('bundle')\n")
  writeFileSync(join(home, 'dist/bundle/built-for'), `${home}\n${process.execPath}\n`)
  return home
}

describe('berth runs', () => {
  for (const [which, sentence, change] of [
    ['bundle', 'the bundle while nothing has changed since', () => {}],
    ['source', 'the source once a file changed', (home) => writeFileSync(join(home, 'src/cli/other.ts'), '// changed')],
    ['source', 'the source once a file came', (home) => writeFileSync(join(home, 'src/cli/new.ts'), '')],
    ['source', 'the source once a file went', (home) => rmSync(join(home, 'src/cli/other.ts'))],
    [
      'source',
      'the source once an older file took the place of one, with its old date',
      (home) => cpSync(join(HOME, 'LICENSE'), join(home, 'src/cli/other.ts'), { preserveTimestamps: true }),
    ],
    ['source', 'the source once the version changed', (home) => writeFileSync(join(home, 'package.json'), '{}')],
    [
      'source',
      'the source once the libraries changed',
      (home) => writeFileSync(join(home, 'node_modules/.package-lock.json'), '{ }'),
    ],
    ['source', 'the source where there is no bundle', (home) => rmSync(join(home, 'dist'), { recursive: true })],
    [
      'source',
      'the source where the bundle was made in another folder',
      (home) => writeFileSync(join(home, 'dist/bundle/built-for'), `${home}-before\n${process.execPath}\n`),
    ],
    [
      'source',
      'the source where the runtime that made the bundle is gone',
      (home) => writeFileSync(join(home, 'dist/bundle/built-for'), `${home}\n${home}/no-bun\n`),
    ],
    [
      'source',
      'the source where built-for is cut short',
      (home) => writeFileSync(join(home, 'dist/bundle/built-for'), ''),
    ],
  ] as const satisfies readonly (readonly [string, string, (home: string) => void])[]) {
    test(sentence, async () => {
      const home = project()
      try {
        // Times of change have the grain of the kernel's clock.
        await Bun.sleep(20)
        change(home)
        expect((await must([join(home, 'bin/berth')])).trim()).toBe(which)
      } finally {
        rmSync(home, { recursive: true })
      }
    })
  }

  test('the source in a folder that was moved with its bundle', async () => {
    const home = project()
    const moved = `${home}-moved`
    renameSync(home, moved)
    try {
      expect((await must([join(moved, 'bin/berth')])).trim()).toBe('source')
    } finally {
      rmSync(moved, { recursive: true })
    }
  })
})

test('a heavy module of the runtime is loaded when something of it is first used', async () => {
  const home = mkdtempSync(join(tmpdir(), 'berth-bundle-'))
  try {
    writeFileSync(
      join(home, 'entry.ts'),
      `import { createHash, X509Certificate } from 'node:crypto'
       import { isIP as family } from 'node:net'
       import * as tls from 'node:tls'
       const loaded: string[] = []
       const load = process.getBuiltinModule
       process.getBuiltinModule = ((id: string) => (loaded.push(id), load(id))) as typeof load
       const steps = [[...loaded], family('::1'), family('x'), [...loaded], createHash('md5').update('').digest('hex'), [...loaded]]
       console.log(JSON.stringify([...steps, {} instanceof X509Certificate, typeof tls.connect, loaded]))`,
    )
    await Bun.build({
      ...{ entrypoints: [join(home, 'entry.ts')], outdir: join(home, 'out'), plugins: [later] },
      ...{ target: 'bun', format: 'cjs', bytecode: true },
    })
    expect(JSON.parse(await must([join(HOME, 'bin/run-bun'), join(home, 'out/entry.js')]))).toEqual([
      ...[[], 6, 0, ['node:net'], 'd41d8cd98f00b204e9800998ecf8427e', ['node:net', 'node:crypto']],
      ...[false, 'function', ['node:net', 'node:crypto', 'node:crypto', 'node:tls']],
    ])
  } finally {
    rmSync(home, { recursive: true })
  }
})

describe('the bundle', () => {
  let home: string
  beforeAll(async () => {
    home = realpathSync(mkdtempSync(join(tmpdir(), 'berth-bundle-')))
    for (const each of ['bin', 'build', 'src', 'package.json', 'tsconfig.json']) {
      cpSync(join(HOME, each), join(home, each), { recursive: true })
    }
    symlinkSync(realpathSync(join(HOME, 'node_modules')), join(home, 'node_modules'))
    await must([join(home, 'bin/run-bun'), 'build/bundle.ts'])
  }, 180_000)
  afterAll(() => rmSync(home, { recursive: true }))

  // The runtime would read it, and hold up every request meanwhile, as soon as an error outlives a collection of garbage.
  test('has no map beside a file', () => {
    const files = readdirSync(join(home, 'dist/bundle'), { recursive: true, encoding: 'utf8' })
    const maps = files.filter((name) => name.endsWith('.map'))
    expect(maps).toContain('maps/main.js.map')
    expect(maps.filter((name) => !name.startsWith('maps/'))).toEqual([])
  })

  test('serves, with the threads and the API that are loaded later', async () => {
    const data = join(home, 'data')
    const server = Bun.spawn([join(home, 'bin/berth'), 'serve', '--addr', '127.0.0.1:0', '--data', data], {
      ...{ env: { PATH: process.env.PATH, BERTH_ADMIN_PASSWORD: 'correct horse' }, stdout: 'ignore', stderr: 'pipe' },
    })
    try {
      let log = ''
      let url: string | undefined
      for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
        log += text
        url = /listening on (\S+)/.exec(log)?.[1]
        if (url !== undefined) break
      }
      expect(await Bun.file(`/proc/${server.pid}/cmdline`).text()).toContain('dist/bundle/main.js')
      const scope = 'repository:some/image:pull,push'
      const headers = { Authorization: `Basic ${btoa('admin:correct horse')}` }
      const challenge = (await fetch(`${url}/v2/`)).headers.get('www-authenticate')
      const service = /service="([^"]+)"/.exec(challenge ?? '')?.[1]
      const answer = await fetch(`${url}/auth?service=${service}&scope=${scope}`, { headers })
      const { token } = (await answer.json()) as { token: string }
      const bytes = new Uint8Array(3_000_000).fill(7)
      const digest = `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`
      const pushed = await fetch(`${url}/v2/some/image/blobs/uploads/?digest=${digest}`, {
        ...{ method: 'POST', body: bytes, headers: { Authorization: `Bearer ${token}` } },
      })
      expect(pushed.status).toBe(201)
      expect(await must([join(home, 'bin/berth'), 'user', 'list', '--data', data])).toContain('admin')
    } finally {
      server.kill()
      expect(await server.exited).toBe(0)
    }
  }, 180_000)
})
