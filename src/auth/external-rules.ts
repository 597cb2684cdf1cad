import type { AclRequest } from './acl.ts'
import { type Labels, UnavailableError } from './authenticator.ts'
import type { Authorizer } from './authorizer.ts'
import { type CommandOptions, createCommand } from './command.ts'
import type { Address } from './ip.ts'

/**
 * A program that decides (docker_auth's `ext_authz`). It reads `requestRecord` and exits with 0 to grant all that was asked,
 * 1 to grant nothing; it cannot leave the decision to another.
 */
export function createExternalAuthorizer(options: CommandOptions): Authorizer {
  const command = createCommand(options)
  return {
    name: 'ext_authz',
    async authorize(request) {
      const { exitCode } = await command.run(requestRecord(request))
      if (exitCode === 0) return { actions: request.actions, rule: 'ext_authz' }
      if (exitCode === 1) return { actions: [], rule: 'ext_authz' }
      throw new UnavailableError(`bad return code from command: ${exitCode}`)
    },
    close: () => command.close(),
  }
}

/** The request in docker_auth's JSON, byte for byte: `{"Account":"a","Type":"repository",…,"Labels":null}`. */
export function requestRecord({ account, type, name, service, ip, actions, labels }: AclRequest): string {
  const members = [
    `"Account":${goJson(account)}`,
    `"Type":${goJson(type)}`,
    `"Name":${goJson(name)}`,
    `"Service":${goJson(service)}`,
    `"IP":${goJson(addressText(ip))}`,
    `"Actions":${goJson(actions)}`,
    `"Labels":${labelsJson(labels)}`,
  ]
  return `{${members.join(',')}}`
}

/** Go's encoding of a map: `null` when there are none, names in the order of their bytes. */
export function labelsJson(labels: Labels): string {
  const entries = Object.entries(labels)
  if (entries.length === 0) return 'null'
  const sorted = entries.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  return `{${sorted.map(([name, values]) => `${goJson(name)}:${goJson(values)}`).join(',')}}`
}

/** As Go writes an address (RFC 5952 section 4); `''` when it is not known. */
export function addressText(address: Address | undefined): string {
  if (address === undefined) return ''
  if (address.length === 4) return address.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((address[i * 2] ?? 0) << 8) | (address[i * 2 + 1] ?? 0))
  const hex = groups.map((group) => group.toString(16)).join(':')
  const runs = [...hex.matchAll(/(?<![0-9a-f])0(?::0(?![0-9a-f]))+/g)]
  const longest = runs.reduce<RegExpExecArray | undefined>(
    (best, run) => (best === undefined || run[0].length > best[0].length ? run : best),
    undefined,
  )
  if (longest === undefined) return hex
  const head = hex.slice(0, longest.index).replace(/:$/, '')
  const tail = hex.slice(longest.index + longest[0].length).replace(/^:/, '')
  return `${head}::${tail}`
}

/** Go escapes what could end a script in HTML, and has no lone surrogates. */
function goJson(value: string | readonly string[]): string {
  const whole = typeof value === 'string' ? value.toWellFormed() : value.map((text) => text.toWellFormed())
  return JSON.stringify(whole).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
