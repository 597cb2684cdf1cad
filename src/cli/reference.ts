/** `repository:tag`, or a repository alone. */
export function parseReference(reference: string): { repository: string; tag: string | undefined } {
  const colon = reference.lastIndexOf(':')
  // A colon before a slash would be that of a host and port, which no repository here has.
  if (colon === -1) return { repository: reference, tag: undefined }
  return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) }
}
