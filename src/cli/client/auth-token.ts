import { Command } from 'commander'
import { type Access, covers, formatScope, type GrantedAccess, repositoryAccess } from '../../oci/scope.ts'
import { claimsIn } from '../../oci/token-claims.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { parseImage, parseRepository } from '../../upstream/reference.ts'
import { collect } from '../values.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { lines } from './output.ts'

interface TokenFlags extends Omit<ConnectionFlags, 'header'> {
  header?: true
  push?: true
  mount?: string[]
}

const BEARER = 'Bearer '

export function authTokenCommand(context: ClientContext): Command {
  return connectionOptions(new Command('token').argument('<repository>', 'HOST/NAME'), { without: ['--header'] })
    .description('print a token for a repository, as its token server gives it')
    .option('-H, --header', 'the whole header, for curl -H')
    .option('--push', 'that may push, too')
    .option('-m, --mount <repository>', 'that may pull from this one of the registry, too; may be repeated', collect)
    .action(async (name: string, { header: isHeader, ...flags }: TokenFlags) => {
      const { registry, repository } = parseRepository(name)
      const needed = [
        ...repositoryAccess(repository, ...(flags.push ? ['pull', 'push'] : ['pull'])),
        ...(flags.mount ?? []).flatMap((from) => repositoryAccess(mounted(registry, from), 'pull')),
      ]
      const { authorization } = connect(context, flags)
      const header = await authorization.headerFor({ registry, repository, needed })
      if (header === undefined) {
        throw new UpstreamError('unsupported', `${registry} gives no tokens: it lets in whoever asks`)
      }
      if (!header.startsWith(BEARER)) {
        if (isHeader) context.out(lines([`Authorization: ${header}`]))
        else {
          throw new UpstreamError('unsupported', `${registry} gives no tokens: it takes names and passwords`, {
            hint: '-H prints the header with them',
          })
        }
        return
      }
      const token = header.slice(BEARER.length)
      mustCover(registry, token, needed)
      context.out(lines([isHeader ? `Authorization: ${header}` : token]))
    })
}

/** `team/base`, or with the registry before it. @throws UpstreamError `usage` for one elsewhere */
function mounted(registry: string, name: string): string {
  const whole = name.startsWith(`${registry}/`) ? name : `${registry}/${name}`
  const { repository, tag, digest } = parseImage(whole)
  if (tag === undefined && digest === undefined) return repository
  throw new UpstreamError('usage', `${name} is an image: --mount takes a repository of ${registry}`)
}

/** A token server grants what one may, however little that is. What no registry wrote cannot be read, and is taken as it is. */
function mustCover(registry: string, token: string, needed: readonly Access[]): void {
  const claims = claimsIn(token)
  if (!Array.isArray(claims?.access)) return
  const granted = (claims.access as unknown[]).filter(isGranted)
  const missing = needed.filter((one) => !covers(granted, one))
  if (missing.length === 0) return
  throw new UpstreamError('denied', `the token server of ${registry} does not grant ${formatScope(missing)}`, {
    hint: `berth login ${registry} -u NAME for another account`,
  })
}

function isGranted(entry: unknown): entry is GrantedAccess {
  const { type, name, actions } = (typeof entry === 'object' ? (entry ?? {}) : {}) as Record<string, unknown>
  return typeof type === 'string' && typeof name === 'string' && Array.isArray(actions)
}
