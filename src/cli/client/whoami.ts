import { Command } from 'commander'
import type { Credential } from '../../upstream/credentials.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { parseRegistry } from '../../upstream/reference.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { fields, formatOption, lines, parseFormat, show } from './output.ts'

export function whoamiCommand(context: ClientContext): Command {
  return formatOption(connectionOptions(new Command('whoami').argument('<registry>', 'HOST or HOST:PORT')))
    .option('-l, --long', 'with where the credentials are kept, and whom the token server takes one for')
    .action(async (server: string, flags: ConnectionFlags & { format: string; long?: true }) => {
      const format = parseFormat(flags.format)
      const registry = parseRegistry(server)
      const upstream = connect(context, flags)
      const credential = await upstream.credentials.find(registry)
      if (credential === undefined) {
        throw new UpstreamError('unauthorized', `not logged in to ${registry}`, { hint: `berth login ${registry}` })
      }
      // What is kept may have been revoked since.
      await upstream.authorization.check(registry)
      const username = credential.kind === 'registry-token' ? '' : credential.username
      const account = await accountOf(upstream, registry)
      const { kind, source } = credential
      show(context, format, {
        whole: { registry, username, kind, source, account: account ?? null },
        text: flags.long
          ? fields([
              ['Registry', registry],
              ['User', username || '<token>'],
              ['Credential', KINDS[kind]],
              ['Kept in', source],
              ['Account', account],
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

/** Whom the token server takes us for: the subject of a token without rights. Undefined where there is none to read. */
async function accountOf(upstream: Upstream, registry: string): Promise<string | undefined> {
  try {
    const { token } = await upstream.authorization.token({ registry, needed: [] })
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    const subject = typeof payload === 'object' && payload !== null && 'sub' in payload ? payload.sub : undefined
    return typeof subject === 'string' && subject !== '' ? subject : undefined
  } catch {
    return undefined
  }
}
