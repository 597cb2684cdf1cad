import { Command } from 'commander'
import { claimsIn } from '../../oci/token-claims.ts'
import type { Credential } from '../../upstream/credentials.ts'
import { UpstreamError } from '../../upstream/error.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fields, formatOption, lines, parseFormat, show } from './output.ts'
import { chosenRegistry, REGISTRY_ARGUMENT } from './registry-choice.ts'

export function whoamiCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('whoami').argument('[registry]', REGISTRY_ARGUMENT)))
    .option('-l, --long', 'with where the credentials are kept, and whom the token server takes one for')
    .action(async (server: string | undefined, flags: ConnectionFlags & { format: string; long?: true }) => {
      const format = parseFormat(flags.format)
      const upstream = connect(context, flags)
      const registry = chosenRegistry(upstream, server, 'berth whoami HOST:PORT')
      const credential = await upstream.credentials.find(registry)
      if (credential === undefined) {
        throw new UpstreamError('unauthorized', `not logged in to ${registry}`, { hint: `berth login ${registry}` })
      }
      // What is kept may have been revoked since.
      await upstream.authorization.check(registry)
      const username = credential.kind === 'registry-token' ? '' : credential.username
      const { account, groups } = await accountOf(upstream, registry)
      const { kind, source } = credential
      show(context, format, {
        whole: { registry, username, kind, source, account: account ?? null, groups: groups ?? null },
        text: flags.long
          ? fields([
              ['Registry', registry],
              ['User', username || '<token>'],
              ['Credential', KINDS[kind]],
              ['Kept in', source],
              ['Account', account],
              ['Groups', groups?.join(', ')],
            ])
          : lines([username || account || '<token>']),
      })
    })
}

const KINDS: Record<Credential['kind'], string> = {
  password: 'password',
  'identity-token': 'refresh token',
  'registry-token': 'token of the registry',
}

interface Account {
  account?: string
  groups?: string[]
}

/**
 * Whom the token server takes us for: the subject of a token without rights, and the groups that it names (Berth's does where there are
 * some). Nothing where there is no such token to read.
 */
async function accountOf(upstream: Upstream, registry: string): Promise<Account> {
  try {
    const { token } = await upstream.authorization.token({ registry, needed: [] })
    const { sub, groups } = claimsIn(token) ?? {}
    const isList = Array.isArray(groups) && groups.every((group) => typeof group === 'string')
    return {
      ...(typeof sub === 'string' && sub !== '' ? { account: sub } : {}),
      ...(isList ? { groups: groups as string[] } : {}),
    }
  } catch {
    return {}
  }
}
