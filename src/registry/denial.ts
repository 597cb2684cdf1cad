import type { Denial, ImmutableDenial, QuotaDenial } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'
import { sizeText } from '../oci/size.ts'

/** What clients print: `docker push` shows the message as `denied: …`, and nothing of the detail. */
export function denied(denial: Denial): RegistryError {
  return new RegistryError('DENIED', { message: denialText(denial), detail: detailOf(denial) })
}

/** In words for people. */
export function denialText(denial: Denial): string {
  return denial.kind === 'immutable' ? immutableText(denial) : quotaText(denial)
}

function immutableText({ repository, tag, digest, asked, rule }: ImmutableDenial): string {
  const what =
    asked === undefined ? 'it cannot be deleted, nor its repository renamed' : `it stays at ${digest}; push another tag`
  return `${repository}:${tag} is immutable by the rule ${rule}: ${what}`
}

/** `the quota of team is used up: 9.8 GiB of 10 GiB are used, and this push adds 512 MiB` */
function quotaText({ prefix, resource, used, open = 0, asked, allowed }: QuotaDenial): string {
  const of = `the quota of ${prefix === '' ? 'the registry' : prefix}`
  const share = (text: (amount: number) => string) => `${text(used)} of ${text(allowed)}`
  switch (resource) {
    case 'bytes':
      return `${of} is used up: ${share(sizeText)} are used, and this needs ${sizeText(asked)} more`
    case 'waiting':
      return `${of} takes no further uploads: blobs of ${share(sizeText)} wait for their manifests, and this has ${sizeText(asked)}`
    case 'uploads':
      return `${of} takes no further uploads at the moment: those under way, and blobs without a manifest, have ${sizeText(open)} of ${sizeText(allowed)}, this one has ${sizeText(asked)}, and images use ${sizeText(used)}`
    default:
      return `${of} is used up: ${share(String)} ${resource} are there, and this makes ${asked} more`
  }
}

function detailOf(denial: Denial): Record<string, unknown> {
  if (denial.kind === 'quota') {
    const { prefix, resource, used, open, asked, allowed } = denial
    return { limit: 'quota', prefix, resource, used, ...(open === undefined ? {} : { open }), asked, allowed }
  }
  const { kind, rule, repository, tag, digest, asked } = denial
  return { limit: kind, rule, repository, tag, digest, ...(asked === undefined ? {} : { pushed: asked }) }
}
