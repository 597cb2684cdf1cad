import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { distributionSchema } from './distribution.ts'
import { loadText, loadTokenServerText, type Texts } from './fixtures/load-text.ts'
import { printEffective } from './print.ts'
import { formatProblems } from './problem.ts'
import { shapeOf } from './schema.ts'

/** Names of all keys, so that random structures reach deep. */
const names: string[] = []
const collect = (schema: Parameters<typeof shapeOf>[0]): void => {
  const shape = shapeOf(schema)
  if (shape.kind === 'map') {
    for (const [key, child] of Object.entries(shape.keys)) {
      names.push(key)
      collect(child)
    }
  } else if (shape.kind === 'list') collect(shape.item)
  else if (shape.kind === 'record') collect(shape.value)
}
collect(distributionSchema)

const key = fc.oneof(
  fc.constantFrom(...names),
  fc.constantFrom('constructor', 'toString', '', 'NONE', '0'),
  fc.string({ maxLength: 4 }),
)
const leaf = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom(':5000', '0.1', 'none', 'pull', '10s', '/x/', '/(/', '[a', null, true, -1, 1.5, 1e300),
)
const tree = fc.letrec<{ node: unknown }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(key, tie('node'), { maxKeys: 5 }),
  ),
})).node
const document = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ unit: fc.constantFrom(...'{}[]:-&*!|>%@`"\'#?,<~ \n\tab0'), maxLength: 60 }),
  tree.map((value) => JSON.stringify(value)),
  fc
    .dictionary(fc.constantFrom(...Object.keys(distributionSchema.shape)), tree, { maxKeys: 6 })
    .map((value) => JSON.stringify({ version: 0.1, ...value })),
)
const variable = fc
  .array(fc.oneof(fc.constantFrom(...names), fc.nat({ max: 3 }).map(String), fc.string({ maxLength: 3 })), {
    minLength: 1,
    maxLength: 5,
  })
  .map((parts) => `REGISTRY_${parts.join('_').toUpperCase()}`)
const environment = fc.dictionary(
  variable,
  fc.oneof(
    fc.string({ maxLength: 12 }),
    tree.map((value) => JSON.stringify(value)),
  ),
  { maxKeys: 6 },
)

/** Milliseconds; only to end a test that hangs. */
setDefaultTimeout(120_000)
const runs = { numRuns: 400, seed: 20_260_101 }

describe('whatever the input is, there is an answer', () => {
  const answers = (
    load: (texts: Texts) => ReturnType<typeof loadText> | ReturnType<typeof loadTokenServerText>,
    texts: Texts,
  ): void => {
    const result = load(texts)
    expect(result.config === undefined).toBe(result.problems.length > 0)
    for (const one of [...result.problems, ...result.warnings]) {
      expect(one.where).not.toBe('')
      expect(one.message).not.toBe('')
    }
    expect(typeof formatProblems(result.problems, result.warnings)).toBe('string')
    expect(typeof printEffective(result.effective)).toBe('string')
  }

  test('to any file', () =>
    fc.assert(
      fc.property(document, (file) => answers(loadText, { file })),
      runs,
    ))

  test('to any environment', () =>
    fc.assert(
      fc.property(environment, (env) => answers(loadText, { env })),
      runs,
    ))

  test('to both together, with any flags', () => {
    const flags = fc.record({ addr: fc.string({ maxLength: 8 }), data: fc.string({ maxLength: 8 }) })
    const strict = fc.constantFrom('strict' as const, undefined)
    fc.assert(
      fc.property(document, environment, flags, strict, (file, env, given, compat) =>
        answers(loadText, { file, env, flags: given, ...(compat === undefined ? {} : { compat }) }),
      ),
      runs,
    )
  })

  test("to any file of the token server's", () =>
    fc.assert(
      fc.property(document, environment, (authFile, env) => answers(loadTokenServerText, { authFile, env })),
      runs,
    ))

  test('to any rules and users', () => {
    const file = fc.record({
      users: tree,
      acl: fc.array(fc.record({ match: tree, actions: tree }), { maxLength: 3 }),
      token: tree,
      server: tree,
    })
    fc.assert(
      fc.property(file, (value) => answers(loadTokenServerText, { authFile: JSON.stringify(value) })),
      runs,
    )
  })
})
