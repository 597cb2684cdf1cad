import { z } from 'zod'
import type { RetentionRule } from '../oci/retention-rule.ts'
import { checkTree } from './check.ts'
import { retentionRuleSchema } from './distribution-retention.ts'
import { emptyMap, type MapNode, nodeAt, putAt } from './node.ts'
import { createPlaces } from './places.ts'
import { createFindings, formatProblems } from './problem.ts'
import { readConfigText } from './read-file.ts'
import { resolveRetentionRules } from './resolve-retention.ts'
import { readYaml } from './yaml-document.ts'

/**
 * Rules of retention in a file of their own: a list, `rules:` with one, or `retention:` with that, as in the configuration.
 * @throws Error with every problem, each with its line
 */
export function readRetentionRules(file: string): RetentionRule[] {
  const findings = createFindings()
  const text = readConfigText(file)
  if (text instanceof Error) throw new Error(`${file}: ${text.message}`)
  const reading = readYaml(text, (line) => ({ kind: 'file', file, line }))
  const places = (root: MapNode) => createPlaces(root, undefined, findings)
  const root: MapNode = emptyMap({ kind: 'file', file, line: 1 })
  for (const { at, message } of reading.errors) {
    findings.problem({ where: at.kind === 'file' ? `${file}:${at.line}` : file, path: '', message })
  }
  const written = reading.root
  if (written !== undefined) {
    const own = written.kind === 'map' ? (nodeAt(written, ['retention']) ?? written) : written
    putAt(root, ['rules'], own.kind === 'list' ? own : (nodeAt(own, ['rules']) ?? own))
  }
  for (const { at, path, message } of reading.duplicates) {
    findings.problem({ where: at.kind === 'file' ? `${file}:${at.line}` : file, path: path.join('.'), message })
  }
  const raw = checkTree(fileSchema(), {}, places(root), { authFile: undefined, strict: true })
  const rules = raw === undefined ? [] : resolveRetentionRules(raw.rules, ['rules'], places(root))
  if (findings.problems.length > 0) throw new Error(formatProblems(findings.problems).trimEnd())
  return rules
}

const fileSchema = () => z.object({ rules: z.array(retentionRuleSchema()).default([]) })
