import type { StaticUser } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import { nodeAt, type Path } from './node.ts'
import type { Places } from './places.ts'

/** Modular crypt format of bcrypt as Go reads it: version, cost 4 to 31, 22 letters of salt and 31 of hash. */
const BCRYPT = /^\$2[abxy]?\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}$/

/** The users that the file itself lists. */
export function resolveUsers(
  users: NonNullable<DockerAuth['users']>,
  path: Path,
  places: Places,
): Record<string, StaticUser> {
  // Without a prototype: a login called `constructor` must find nothing.
  const resolved: Record<string, StaticUser> = Object.create(null)
  for (const [name, user] of Object.entries(users)) {
    const here = [...path, name]
    if (user === null) {
      places.warn(here, 'has no value, so this user does not exist', 'Give a password, or {} to accept any password.')
      continue
    }
    const { password } = user
    if (password === undefined) {
      const given = [...here, 'password']
      if (places.findings.refused(places.name(given))) continue
      // On purpose not as the original has it: this is what a template with an empty variable leaves.
      if (nodeAt(places.root, given) !== undefined) {
        const fix =
          'Give a bcrypt hash (htpasswd -nbB NAME PASSWORD), or write {} for a user whom any password lets in.'
        places.problem(given, 'has no value, so any password would be accepted', fix)
        continue
      }
      if (name !== '')
        places.warn(
          here,
          'has no password, so any password is accepted',
          'Add a bcrypt hash (htpasswd -nbB NAME PASSWORD).',
        )
    } else if (!BCRYPT.test(password)) {
      places.warn(
        [...here, 'password'],
        'is no bcrypt hash, so no password can match',
        'Make one: htpasswd -nbB NAME PASSWORD, and take what stands behind the colon.',
      )
    }
    const labels = Object.assign(Object.create(null) as Record<string, string[]>, user.labels)
    resolved[name] = { passwordHash: password, labels }
  }
  return resolved
}
