import { RegistryError } from './error.ts'

/** OCI Distribution Specification 1.1, "Pulling manifests": the grammar of `<name>` and of a tag. */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/

/** Characters; the bound that `docker` and `registry:2` put on the path of a reference. */
export const MAX_NAME_LENGTH = 255

export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && NAME.test(text)
}

/** @throws RegistryError NAME_INVALID */
export function parseRepositoryName(text: string): string {
  if (isRepositoryName(text)) return text
  const reason =
    text.length > MAX_NAME_LENGTH
      ? `a repository name has at most ${MAX_NAME_LENGTH} characters`
      : 'a repository name is lower-case letters and digits, joined by . _ __ or -, in parts separated by /'
  throw new RegistryError('NAME_INVALID', { detail: { name: text.slice(0, MAX_NAME_LENGTH + 1), reason } })
}

export function isTag(text: string): boolean {
  return TAG.test(text)
}
