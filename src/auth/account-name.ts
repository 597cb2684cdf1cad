/** What every robot's name begins with, so that no user can pass for one. A shell leaves it alone, unlike a `$`. */
export const ROBOT_PREFIX = 'robot-'

export type NameKind = 'user' | 'robot' | 'group'

/** Safe in a shell, a URL, a rule's glob and Basic credentials, where a colon would end the name. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,63}$/

/** What is wrong with the name of a new account or group; undefined when nothing is. Names that exist are never checked again. */
export function nameProblem(kind: NameKind, name: string): string | undefined {
  if (!NAME.test(name)) {
    return 'a name has 1 to 64 letters (a-z, A-Z), digits and the signs . _ @ + - and begins with a letter or digit'
  }
  const reserved = name.toLowerCase().startsWith(ROBOT_PREFIX)
  if (kind === 'robot' && (!name.startsWith(ROBOT_PREFIX) || name.length === ROBOT_PREFIX.length)) {
    return `the name of a robot begins with ${ROBOT_PREFIX}`
  }
  if (kind === 'user' && reserved) return `names that begin with ${ROBOT_PREFIX} are those of robots`
  return undefined
}

/** `ci` and `robot-ci` are the same robot. */
export function robotName(name: string): string {
  return name.startsWith(ROBOT_PREFIX) ? name : `${ROBOT_PREFIX}${name}`
}
