import { changeHtpasswdFile, readHtpasswdFile } from './auth/htpasswd-file.ts'
import { entriesOf, type HtpasswdEntry, kindOf, nameFault, withEntry, withoutEntry } from './auth/htpasswd-lines.ts'
import { hashPassword, isCut, isPasswordOf } from './auth/password.ts'

export { isCut, nameFault }

/**
 * Gives a user of a file that password, in the place of any other.
 * @param cost of bcrypt, 4 to 17
 * @param options `alone`: all that the file has besides goes
 * @throws Error with a text for the user; nothing is changed then
 */
export async function addHtpasswdUser(
  path: string,
  user: string,
  password: string,
  cost: number,
  { alone = false }: { alone?: boolean } = {},
): Promise<{ made: boolean; known: boolean }> {
  const hash = await apacheHash(password, cost)
  let known = false
  const { made } = changeHtpasswdFile(path, (text) =>
    alone
      ? withEntry('', user, hash)
      : readable(path, () => {
          known = entriesOf(text).some(({ name }) => name === user)
          return withEntry(text, user, hash)
        }),
  )
  return { made, known }
}

/** The line of a file, without its end. */
export async function htpasswdLine(user: string, password: string, cost: number): Promise<string> {
  return `${user}:${await apacheHash(password, cost)}`
}

/** As Apache's htpasswd writes it: it is the same hash, and not every reader knows the letter of today. */
async function apacheHash(password: string, cost: number): Promise<string> {
  return (await hashPassword(password, cost)).replace(/^\$2b\$/, '$2y$')
}

/** @returns whether the file had that user. @throws Error with a text for the user; nothing is changed then */
export function removeHtpasswdUser(path: string, user: string): boolean {
  let known = false
  existing(path)
  changeHtpasswdFile(path, (text) =>
    readable(path, () => {
      const without = withoutEntry(text, user)
      known = without !== undefined
      return without
    }),
  )
  return known
}

export type HtpasswdVerdict =
  | 'right'
  | 'wrong'
  | 'unknown'
  /** The user's hash is of this kind, which registries do not take. */
  | { kind: string }

/** @throws Error with a text for the user */
export async function checkHtpasswdUser(path: string, user: string, password: string): Promise<HtpasswdVerdict> {
  const text = existing(path)
  const entry = readable(path, () => entriesOf(text)).find(({ name }) => name === user)
  if (entry === undefined) return 'unknown'
  const kind = kindOf(entry.hash)
  if (kind !== 'bcrypt') return { kind }
  return (await isPasswordOf(password, entry.hash)) ? 'right' : 'wrong'
}

/** Each user with the kind of its hash, in the order of the file. @throws Error with a text for the user */
export function listHtpasswdUsers(path: string): { name: string; kind: string }[] {
  const text = existing(path)
  return readable(path, () => entriesOf(text)).map(({ name, hash }: HtpasswdEntry) => ({ name, kind: kindOf(hash) }))
}

function existing(path: string): string {
  const text = readHtpasswdFile(path)
  if (text === undefined) throw new Error(`there is no file ${path}`)
  return text
}

function readable<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw new Error(`${path}: ${error instanceof Error ? error.message : String(error)}; nothing is changed`)
  }
}
