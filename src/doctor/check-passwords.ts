import { type Finding, fault, fine, warning } from './finding.ts'
import type { PasswordFacts } from './password-facts.ts'
import type { ServerFacts } from './server-facts.ts'
import { change, nameOf, shellText, whereIs } from './settings.ts'

/** Registries and docker_auth take bcrypt and nothing else, and say nothing about the rest: such users cannot log in. */
export function checkPasswords({ passwords, settings }: ServerFacts): Finding[] {
  return passwords.flatMap((facts): Finding[] => {
    const { key, file, users, fault: reason } = facts
    if (file !== undefined && reason !== undefined) {
      const about = whereIs(settings, key) ?? file
      const fix = /^has a line/.test(reason)
        ? [`${file}: remove or mend the line; each is NAME:HASH`]
        : reason === 'is not there'
          ? [`berth htpasswd add ${shellText(file)} USER`]
          : []
      const make = reason === 'is not there' ? warning : fault
      return [
        make(
          'file-unusable',
          about,
          `${nameOf(settings, key)} names ${file}, which ${reason}: nobody can log in`,
          ...fix,
          change(settings, key, 'the file of users'),
        ),
      ]
    }
    const wrong = users.filter(({ kind }) => kind !== 'bcrypt')
    if (wrong.length === 0) {
      return users.length === 0
        ? []
        : [fine('passwords', file ?? nameOf(settings, key), `all ${users.length} passwords are bcrypt hashes`)]
    }
    return wrong.map(({ name, kind, where }) => {
      const how = kind === 'unknown' ? 'is no hash that is known (plain text?)' : `is hashed with ${kind}`
      const message = `the password of ${name} ${how}; registries take bcrypt alone, so ${name} is refused as with a wrong password: \`unauthorized: authentication required\``
      return fault('password-not-bcrypt', where, message, ...remedies(facts, name, where))
    })
  })
}

function remedies({ file }: PasswordFacts, name: string, where: string): string[] {
  const user = shellText(name)
  if (file !== undefined)
    return [`berth htpasswd add ${shellText(file)} ${user}`, `or htpasswd -B ${shellText(file)} ${user}`]
  return [`${where}: password: "$2y$…" in its place, as this prints it: htpasswd -nB ${user} | cut -d: -f2`]
}
