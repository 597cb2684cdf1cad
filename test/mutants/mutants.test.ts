import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { applied } from './apply.ts'
import { MUTANTS } from './mutants.ts'

const PROJECT = join(import.meta.dir, '../..')

describe('the mutants of the collector', () => {
  // Whoever changes a place keeps its mutant.
  test.each(MUTANTS.map((mutant) => [mutant.name, mutant] as const))('%s: it fits the sources', (_, mutant) => {
    const text = readFileSync(join(PROJECT, mutant.file), 'utf8')
    const broken = applied(mutant, text)
    expect(broken).not.toBe(text)
    expect(() => new Bun.Transpiler({ loader: 'ts' }).transformSync(broken)).not.toThrow()
  })

  test('what nobody notices says why, and nothing else does', () => {
    const wrong = MUTANTS.filter(({ caughtBy, unnoticed }) => (caughtBy.length === 0) !== (unnoticed !== undefined))
    expect(wrong.map(({ name }) => name)).toEqual([])
  })

  test('each has a name of its own', () => {
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length)
  })
})
