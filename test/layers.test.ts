import { describe, expect, test } from 'bun:test'
import { dirname, join, normalize } from 'node:path'
import { Glob } from 'bun'

/**
 * Who may import whom: folder (or file) → what its files may name, as prefixes of paths below `src/`. A folder may
 * always import from itself. ARCHITECTURE.md explains the layers.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  oci: [],
  files: [],
  x509: [],
  acme: ['files/', 'x509/'],
  tls: ['telemetry/', 'files/', 'x509/', 'acme/'],
  config: ['oci/', 'files/read-up-to.ts'],
  telemetry: ['oci/'],
  threads: [],
  storage: ['oci/', 'telemetry/', 'threads/', 'files/c-library.ts'],
  metadata: ['oci/', 'telemetry/', 'threads/'],
  upstream: ['oci/', 'telemetry/', 'files/read-small-file.ts'],
  archive: ['oci/'],
  rootfs: ['archive/'],
  // Moves images between registries and files.
  transfer: ['oci/', 'upstream/', 'archive/'],
  // Looks at what the others would use, and changes nothing.
  doctor: ['oci/', 'config/', 'upstream/', 'auth/', 'tls/', 'files/read-small-file.ts'],
  registry: [
    'oci/',
    'telemetry/',
    'storage/storage.ts',
    'storage/tree.ts',
    'storage/distribution-path.ts',
    'metadata/metadata.ts',
  ],
  auth: ['oci/', 'telemetry/', 'threads/', 'metadata/metadata.ts', 'files/', 'x509/'],
  http: ['registry/', 'auth/', 'oci/', 'telemetry/', 'x509/', 'files/c-library.ts'],
  // Writes files of its own, under the names of other programs' layouts.
  export: ['oci/', 'telemetry/', 'storage/', 'metadata/metadata.ts'],
  // Gives files their place as exports do.
  backup: ['oci/', 'telemetry/', 'files/', 'storage/', 'metadata/', 'export/place.ts', 'export/overlap.ts'],
  jobs: ['registry/', 'metadata/metadata.ts', 'oci/', 'telemetry/', 'tls/managed.ts'],
  'app.ts': [
    ...[
      'oci/',
      'config/',
      'telemetry/',
      'storage/',
      'metadata/',
      'registry/',
      'auth/',
      'acme/',
      'backup/marker.ts',
      'files/',
      'tls/',
      'http/',
      'jobs/',
      'app',
    ],
  ],
  'run.ts': [
    'config/',
    'backup/',
    'export/',
    'telemetry/',
    'http/',
    'jobs/watch-files.ts',
    'jobs/renew-certificates.ts',
    'tls/',
    'app',
  ],
  cli: [
    'run',
    'config/',
    'oci/',
    'http/api/',
    'http/reference/',
    'upstream/',
    'transfer/',
    'archive/',
    'rootfs/',
    'doctor/',
    'files/read-small-file.ts',
  ],
  'main.ts': ['cli/', 'threads/'],
}

/** Words that must not stand in a folder's code (comments aside). */
const NEVER_NAMES: Record<string, RegExp> = {
  oci: /\b(node:fs|node:net|Bun\.|fetch\()/,
  storage: /\b(Request|Response)\b/,
  metadata: /\b(Request|Response)\b/,
  registry: /\b(Request|Response|bun:sqlite|kysely)\b/,
  auth: /\b(Request|Response|bun:sqlite|kysely)\b/,
}

const DRAWERS = /\/(utils?|helpers?|common|shared|lib|misc)(\/|\.ts$)/
const MAX_LINES = 400

const root = join(import.meta.dir, '..', 'src')
const files = [...new Glob('**/*.{ts,tsx}').scanSync(root)].sort()
const sources = new Map(
  await Promise.all(files.map(async (file) => [file, await Bun.file(join(root, file)).text()] as const)),
)
const program = files.filter((file) => !/\.(test|suite|fixture)\.ts$/.test(file))

function importsOf(file: string, kind: 'all' | 'values'): string[] {
  const pattern = /^(?:import|export)\s+(type\s)?[^'"]*?from\s+'(\.[^']+)'/gm
  return [...(sources.get(file) ?? '').matchAll(pattern)]
    .filter(([, type]) => kind === 'all' || type === undefined)
    .map(([, , path]) => normalize(join(dirname(file), path ?? '')))
    .filter((path) => path.endsWith('.ts') && !path.startsWith('..'))
}

function layerOf(file: string): string {
  if (file.includes('/')) return file.slice(0, file.indexOf('/'))
  return ['app.ts', 'run.ts'].find((layer) => file.startsWith(layer.slice(0, 3))) ?? file
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}

describe('the layers', () => {
  test('cover every file', () => {
    expect(program.filter((file) => MAY_IMPORT[layerOf(file)] === undefined)).toEqual([])
  })

  test('import only what lies below them', () => {
    const forbidden = program.flatMap((file) => {
      const layer = layerOf(file)
      const allowed = MAY_IMPORT[layer] ?? []
      return importsOf(file, 'all')
        .filter((target) => layerOf(target) !== layer && !allowed.some((prefix) => target.startsWith(prefix)))
        .map((target) => `${file} imports ${target}`)
    })
    expect(forbidden).toEqual([])
  })

  test('have no import cycle', () => {
    const cycles: string[] = []
    const done = new Set<string>()
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) {
        cycles.push([...path.slice(path.indexOf(file)), file].join(' → '))
        return
      }
      if (done.has(file)) return
      for (const target of importsOf(file, 'values')) visit(target, [...path, file])
      done.add(file)
    }
    for (const file of program) visit(file, [])
    expect(cycles).toEqual([])
  })

  test('keep to their words', () => {
    const words = program.flatMap((file) => {
      const match = NEVER_NAMES[layerOf(file)]?.exec(withoutComments(sources.get(file) ?? ''))
      return match == null ? [] : [`${file} names ${match[0]}`]
    })
    expect(words).toEqual([])
  })
})

describe('files', () => {
  test(`have at most ${MAX_LINES} lines`, () => {
    const long = program.filter((file) => (sources.get(file) ?? '').split('\n').length > MAX_LINES)
    expect(long).toEqual([])
  })

  test('are in no drawer', () => {
    expect(files.filter((file) => DRAWERS.test(`/${file}`))).toEqual([])
  })
})

test('the table is no letter too wide: a forbidden edge would be found', () => {
  const allowed = MAY_IMPORT.registry ?? []
  expect(allowed.some((prefix) => 'metadata/sqlite.ts'.startsWith(prefix))).toBe(false)
  expect(allowed.some((prefix) => 'storage/filesystem.ts'.startsWith(prefix))).toBe(false)
  expect((MAY_IMPORT.http ?? []).some((prefix) => 'metadata/metadata.ts'.startsWith(prefix))).toBe(false)
})
