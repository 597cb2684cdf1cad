import type { Digest } from '../../oci/digest.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatRepository, type RepositoryReference } from '../../upstream/reference.ts'
import { type Administrator, tagByForce } from '../../upstream/tag-by-force.ts'
import type { Upstream } from '../../upstream/upstream.ts'
import type { ClientContext } from './context.ts'
import { lines } from './output.ts'

/** Moves a tag that the registry refused to move. */
export type MoveByForce = (wanted: { tag: string; digest: Digest }, refusal: unknown) => Promise<void>

/** For one repository; who it is is asked at most once. */
export function moverByForce(context: ClientContext, upstream: Upstream, repository: RepositoryReference): MoveByForce {
  let administrator: Promise<Administrator> | undefined
  return async (wanted, refusal) => {
    const rule = ruleIn(refusal)
    administrator ??= administratorOf(context, upstream, repository)
    await tagByForce(upstream.transport, repository, wanted, await administrator)
    const name = `${formatRepository(repository)}:${wanted.tag}`
    context.error(lines([`warning: ${name} is immutable by the rule ${rule}, and was moved by force`]))
  }
}

/** @throws the refusal, where it is of another kind */
function ruleIn(refusal: unknown): string {
  if (!(refusal instanceof UpstreamError)) throw refusal
  const { fault, message, status, code, immutable } = refusal
  if (immutable !== undefined) return immutable
  if (fault !== 'conflict' && status !== PRECONDITION_FAILED) throw refusal
  const hint = '--force moves what a rule of immutable tags of Berth protects, and nothing else'
  throw new UpstreamError('conflict', message, { status, code, hint, cause: refusal })
}

/** What other registries answer of a tag that is immutable. */
const PRECONDITION_FAILED = 412

/** @throws UpstreamError `unauthorized` where nobody can be asked */
async function administratorOf(
  context: ClientContext,
  { credentials }: Upstream,
  { registry, repository }: RepositoryReference,
): Promise<Administrator> {
  const kept = await credentials.find(registry, repository)
  if (kept?.kind === 'password') return kept
  const known = kept?.kind === 'identity-token' ? kept.username : ''
  if (!context.canAsk) {
    const why = kept === undefined ? 'nobody is logged in' : `${kept.source} keeps a token for images in its place`
    throw new UpstreamError(
      'unauthorized',
      `moving an immutable tag of ${registry} needs the password of an administrator, and ${why}`,
      { hint: 'at a terminal it is asked for; a script has it, or a personal token, in DOCKER_AUTH_CONFIG' },
    )
  }
  const username = known || (await context.ask(`Administrator of ${registry}: `)).trim()
  return { username, password: await context.askPassword(`Password of ${username}: `) }
}
