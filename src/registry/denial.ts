import type { Denial } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'

/** What clients print: `docker push` shows the message as `denied: …`, and nothing of the detail. */
export function denied(denial: Denial): RegistryError {
  return new RegistryError('DENIED', { message: denialText(denial), detail: detailOf(denial) })
}

/** In words for people. */
export function denialText(denial: Denial): string {
  const { repository, tag, digest, asked, rule } = denial
  const what = asked === undefined ? 'it cannot be deleted' : `it stays at ${digest}; push another tag`
  return `${repository}:${tag} is immutable by the rule ${rule}: ${what}`
}

function detailOf(denial: Denial): Record<string, unknown> {
  const { kind, rule, repository, tag, digest, asked } = denial
  return { limit: kind, rule, repository, tag, digest, ...(asked === undefined ? {} : { pushed: asked }) }
}
