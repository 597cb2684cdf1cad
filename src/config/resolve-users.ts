import type { StaticUser } from './config.ts'
import type { DockerAuth } from './docker-auth.ts'
import type { Path } from './node.ts'
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
      if (places.findings.refused(places.name([...here, 'password']))) continue
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
