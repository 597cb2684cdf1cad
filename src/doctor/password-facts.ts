import { kindOf } from '../auth/htpasswd-lines.ts'
import type { TokenServerConfig } from '../config/config.ts'
import { unreadable } from '../config/files.ts'
import { nodeAt, type Path } from '../config/node.ts'
import { readSmallFile } from '../files/read-small-file.ts'
import { type Settings, textAt, whereIs } from './settings.ts'

/** Passwords that are written down somewhere: how, never what. */
export interface PasswordFacts {
  /** The key of the configuration that names the file, or the section that holds the users. */
  key: Path
  /** The htpasswd file; undefined: the configuration itself. */
  file: string | undefined
  /** Why the file cannot be read, or the number of a line of it that is not `name:hash`. */
  fault?: string
  users: readonly { name: string; kind: string; where: string }[]
}

const FILES: readonly Path[] = [
  ['auth', 'htpasswd', 'path'],
  ['tokenserver', 'htpasswd', 'path'],
]

/** Never throws. */
export function passwordFacts(settings: Settings, tokenServer: TokenServerConfig | undefined): PasswordFacts[] {
  const files = FILES.flatMap((key) => {
    const file = textAt(settings, key)
    return file === undefined ? [] : [fileFacts(key, file)]
  })
  const users = nodeAt(settings.root, USERS)
  if (users?.kind !== 'map') return files
  const named = [...users.entries.keys()].flatMap((name) => {
    const path = [...USERS, name, 'password']
    // A user without a password is let in with any: nothing to check.
    const hash = tokenServer?.users?.[name]?.passwordHash ?? textAt(settings, path)
    return hash === undefined ? [] : [{ name, kind: kindOf(hash), where: whereIs(settings, path) ?? 'users' }]
  })
  return [...files, { key: USERS, file: undefined, users: named }]
}

const USERS: Path = ['tokenserver', 'users']

/** Bytes. */
const LONGEST_FILE = 64 * 1024 * 1024

function textOf(file: string): string | undefined {
  try {
    return readSmallFile(file, LONGEST_FILE).toString('utf8')
  } catch {
    return undefined
  }
}

function fileFacts(key: Path, file: string): PasswordFacts {
  const fault = unreadable(file)
  if (fault !== undefined) return { key, file, fault, users: [] }
  const users: { name: string; kind: string; where: string }[] = []
  const text = textOf(file)
  if (text === undefined) return { key, file, fault: 'cannot be read', users: [] }
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    const entry = line.trim()
    if (entry === '' || entry.startsWith('#')) continue
    const colon = entry.indexOf(':')
    // The original refuses every request while there is such a line.
    if (colon === -1) return { key, file, fault: `has a line ${index + 1} that is not NAME:HASH`, users }
    users.push({ name: entry.slice(0, colon), kind: kindOf(entry.slice(colon + 1)), where: `${file}:${index + 1}` })
  }
  return { key, file, users }
}
