import { expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { loadText } from './fixtures/load-text.ts'

/** Milliseconds; only to end a test that hangs. */
setDefaultTimeout(120_000)

const word = fc.stringMatching(/^[a-z][a-z0-9]{0,7}$/)
const absolute = word.map((name) => `/${name}`)
const strings = (item: fc.Arbitrary<string>) => fc.array(item, { minLength: 1, maxLength: 3 })
/** Texts that YAML would take for something else, were they not known to be texts. */
const tricky = fc.constantFrom(
  'yes',
  '0755',
  '1.50',
  'null',
  '12:30',
  '0x1f',
  ' a',
  'a: b',
  '#x',
  '!t',
  '&a',
  '*',
  "it's",
  '"q"',
)

/** Keys by their path, each with values that are right. Those whose values go together are one. */
const keys: Record<string, fc.Arbitrary<unknown>> = {
  'log.level': fc.constantFrom('error', 'warn', 'info', 'DEBUG'),
  'log.formatter': fc.constantFrom('text', 'json', 'logstash'),
  'log.fields': fc.dictionary(word, fc.oneof(word, fc.integer(), fc.boolean()), { minKeys: 1, maxKeys: 3 }),
  'log.accesslog.disabled': fc.boolean(),
  'storage.delete.enabled': fc.boolean(),
  'storage.redirect.disable': fc.boolean(),
  'storage.cache.blobdescriptorsize': fc.integer({ min: -1, max: 2_000_000 }),
  'storage.maintenance.readonly.enabled': fc.boolean(),
  'http.addr': fc.integer({ min: 1, max: 65_535 }).map((port) => `:${port}`),
  'http.prefix': absolute,
  'http.host': word.map((name) => `https://${name}.example`),
  'http.secret': fc.oneof(word, tricky),
  'http.relativeurls': fc.boolean(),
  'http.draintimeout': fc.oneof(
    fc.integer({ min: 0, max: 90 }).map((n) => `${n}s`),
    fc.constant(1_000_000_000),
  ),
  'http.headers': fc.dictionary(
    word.map((name) => `x-${name}`),
    strings(word),
    { minKeys: 1, maxKeys: 3 },
  ),
  'http.trustedproxies': strings(fc.integer({ min: 1, max: 99 }).map((n) => `${n}.0.0.0/8`)),
  'catalog.maxentries': fc.integer({ min: -5, max: 5000 }),
  'tags.maxtags': fc.integer({ min: 0, max: 5000 }),
  'validation.disabled': fc.boolean(),
  'validation.manifests.urls.allow': strings(word.map((name) => `^${name}`)),
  'validation.manifests.urls.deny': strings(word),
  'validation.manifests.indexes': fc
    .array(fc.record({ architecture: word, os: word }), { minLength: 1, maxLength: 3 })
    .map((platformlist) => ({ platforms: 'list', platformlist })),
  'policy.repository.classes': strings(fc.constantFrom('image', 'plugin')),
  'metadata.path': fc.oneof(absolute, tricky),
  'uploads.chunkminlength': fc.nat(),
  'auth.token.realm': word.map((name) => `https://${name}.example/auth`),
  'auth.token.service': fc.oneof(word, tricky),
  'auth.token.signingalgorithms': strings(fc.constantFrom('RS256', 'ES256', 'EdDSA')),
  'auth.anonymous': fc.constantFrom('none', 'pull'),
  'tokenserver.server.real_ip_header': word.map((name) => `X-${name}`),
  'tokenserver.server.real_ip_pos': fc.integer({ min: -3, max: 3 }),
  'tokenserver.token.expiration': fc.integer({ min: 60, max: 9000 }),
  'tokenserver.token.keyid': fc.constantFrom('libtrust', 'rfc7638'),
  'tokenserver.acl': fc.array(
    fc.record({
      match: fc.record({ account: word, name: word }),
      actions: strings(fc.constantFrom('pull', 'push', '*')),
    }),
    { minLength: 1, maxLength: 2 },
  ),
}

/** How one key is given: in the file, in the file with a variable over it, or by variables alone. */
interface Given {
  value: unknown
  other: unknown
  place: 'file' | 'both' | 'variable'
  /** How far a variable for each element or name goes, in place of one for the whole. */
  isSplit: boolean
}

const given: fc.Arbitrary<Record<string, Given | undefined>> = fc.record(
  Object.fromEntries(
    Object.entries(keys).map(([key, values]) => [
      key,
      fc.record({
        value: values,
        other: values,
        place: fc.constantFrom('file' as const, 'both' as const, 'variable' as const),
        isSplit: fc.boolean(),
      }),
    ]),
  ),
  { requiredKeys: [] },
)

function put(tree: Record<string, unknown>, key: string, value: unknown): void {
  const parts = key.split('.')
  const last = parts.pop() ?? ''
  let map = tree
  for (const part of parts) {
    map[part] ??= {}
    map = map[part] as Record<string, unknown>
  }
  map[last] = value
}

/** One variable for the whole value, or one for each scalar in it. */
function variables(name: string, value: unknown, isSplit: boolean): [string, string][] {
  if (isSplit && typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([part, inner]) => variables(`${name}_${part.toUpperCase()}`, inner, true))
  }
  // A text goes as it would be written in a shell, with the quotes of YAML where it needs some (where a value may be of any
  // type, `y` is a boolean); anything else is JSON.
  const isText = typeof value === 'string' && value !== 'null' && !name.startsWith('REGISTRY_LOG_FIELDS')
  const isPlain = isText && /^[\w/:.^@-]+$/.test(value)
  return [[name, isPlain ? String(value) : JSON.stringify(value)]]
}

const base = { version: '0.1', storage: { filesystem: { rootdirectory: '/d' } } }

test('what a file says, variables say as well, in whatever part and over whatever the file says otherwise', () => {
  fc.assert(
    fc.property(given, (choice) => {
      const whole: Record<string, unknown> = structuredClone(base)
      const partly: Record<string, unknown> = structuredClone(base)
      const env: Record<string, string> = {}
      for (const [key, one] of Object.entries(choice)) {
        if (one === undefined) continue
        const { value, other, place, isSplit } = one
        put(whole, key, value)
        // A variable for each element lies over what the file has, which is then the same but for one element.
        const under = isSplit ? value : other
        if (place !== 'variable') put(partly, key, place === 'file' ? value : under)
        if (place === 'file') continue
        for (const [name, text] of variables(`REGISTRY_${key.replaceAll('.', '_').toUpperCase()}`, value, isSplit)) {
          env[name] = text
        }
      }
      const expected = loadText({ file: JSON.stringify(whole) })
      const found = loadText({ file: JSON.stringify(partly), env })
      const messages = (problems: typeof found.problems) =>
        problems.map(({ path, message }) => `${path}: ${message}`).sort()
      expect(messages(found.problems)).toEqual(messages(expected.problems))
      expect(messages(found.warnings)).toEqual(messages(expected.warnings))
      expect(withoutPlaces(found.config)).toEqual(withoutPlaces(expected.config))
    }),
    { numRuns: 60, seed: 20_260_101 },
  )
})

/** Rules of the token server say where they stand. */
function withoutPlaces(config: unknown): unknown {
  return JSON.parse(JSON.stringify(config ?? null, (key, value) => (key === 'where' ? undefined : value)))
}
