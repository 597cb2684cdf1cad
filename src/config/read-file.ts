import { statSync } from 'node:fs'
import { readUpTo } from '../files/read-up-to.ts'
import { describePath, describeSource, emptyMap, isNull, type MapNode } from './node.ts'
import type { Findings } from './problem.ts'
import { isUnknownKeyRefused, type UnknownKeyRule } from './unknown-key.ts'
import { readYaml } from './yaml-document.ts'

/** More than any configuration has; a file of another kind should not be parsed for minutes. Bytes. */
const MAX_SIZE = 8 * 1024 * 1024

const FAULTS: Record<string, string> = {
  ENOENT: 'there is no such file',
  EACCES: 'may not be read by this user; change its mode or owner',
  ENOTDIR: 'there is no such file',
}

/**
 * Reads a configuration file; undefined, with a problem, when it cannot be read or is no YAML map.
 * @param prefix where the file's keys stand in the merged tree
 */
export function readConfigFile(
  file: string,
  prefix: readonly string[],
  findings: Findings,
  rule: UnknownKeyRule,
): MapNode | undefined {
  const refuse = (where: string, message: string): undefined => {
    findings.problem({ where, path: '', message })
    return undefined
  }
  const text = readConfigText(file)
  if (text instanceof Error) return refuse(file, text.message)
  const reading = readYaml(text, (line) => ({ kind: 'file', file, line }))
  for (const { at, message } of reading.errors) refuse(describeSource(at), message)
  for (const { at, message } of reading.warnings) findings.warn({ where: describeSource(at), path: '', message })
  for (const { at, path, message } of reading.duplicates) {
    const one = { where: describeSource(at), path: describePath(path), message, fix: 'Remove one of the two.' }
    if (isUnknownKeyRefused(rule, [...prefix, ...path], at)) findings.problem(one)
    else findings.warn(one)
  }
  const { root } = reading
  if (root === undefined) return undefined
  if (isNull(root)) return emptyMap(root.at)
  if (root.kind !== 'map') return refuse(describeSource(root.at), 'must be a map of keys')
  return root
}

/** The text of a file of moderate size, or what is wrong with it. */
export function readConfigText(file: string): string | Error {
  try {
    if (statSync(file).isDirectory()) return new Error('is a directory, not a file')
    const bytes = readUpTo(file, MAX_SIZE + 1)
    if (bytes.length > MAX_SIZE) return new Error(`is larger than ${MAX_SIZE} bytes, so it is no configuration`)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return new Error('is no UTF-8 text')
    return new Error(FAULTS[code] ?? `cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}
