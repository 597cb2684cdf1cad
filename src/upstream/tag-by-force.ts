import type { Digest } from '../oci/digest.ts'
import { jsonObject } from '../oci/json-object.ts'
import { basic } from './authorization.ts'
import { bytesOf } from './body.ts'
import { UpstreamError, type UpstreamFault } from './error.ts'
import { formatRepository, type RepositoryReference } from './reference.ts'
import type { Transport } from './transport.ts'

/** Whom the registry takes for one of its administrators. A personal access token may stand for the password. */
export interface Administrator {
  username: string
  password: string
}

const FAULTS: Readonly<Record<number, UpstreamFault>> = {
  401: 'unauthorized',
  403: 'denied',
  404: 'not-found',
  409: 'conflict',
  429: 'throttled',
}

/**
 * Points a tag of a Berth to a manifest of its repository, even where a rule makes it immutable. Its API asks for a name and a
 * password: a token for images says nothing of administrators.
 * @throws UpstreamError, `unsupported` where there is no such API
 */
export async function tagByForce(
  transport: Transport,
  repository: RepositoryReference,
  { tag, digest }: { tag: string; digest: Digest },
  administrator: Administrator,
): Promise<void> {
  const { registry } = repository
  const what = `${formatRepository(repository)}:${tag}`
  const response = await transport.send(registry, {
    method: 'POST',
    url: `${await transport.baseOf(registry)}/api/v1/tags/restore`,
    headers: {
      'Content-Type': 'application/json',
      Authorization: basic(administrator),
    },
    body: () => JSON.stringify({ repository: repository.repository, tag, digest, force: true }),
    repeatable: true,
  })
  const json = jsonObject(await bytesOf(response, what))
  const { status } = response
  // Whoever moved it says where it points; some other page may be a 200, too.
  if (status === 200 && json?.digest === digest) return
  const hint = `on the server: berth tag restore ${repository.repository}:${tag} --to ${digest} --force`
  const isBerths = response.headers.get('content-type')?.startsWith('application/problem+json') === true
  if (!isBerths || typeof json?.detail !== 'string') {
    const message = `${what}: ${registry} has no API that moves an immutable tag (it answers ${status})`
    throw new UpstreamError('unsupported', message, { status, hint })
  }
  const message = `${what}, as ${administrator.username}: ${json.detail}`
  throw new UpstreamError(FAULTS[status] ?? 'failed', message, { status, hint })
}
