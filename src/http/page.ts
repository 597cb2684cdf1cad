import { RegistryError } from '../oci/error.ts'
import type { Query } from './call.ts'

export interface PageRequest {
  last: string | undefined
  /** Undefined: the client named none. */
  count: number | undefined
}

/** `?n=&last=` (OCI Distribution Specification 1.1, "Listing Tags"). @throws RegistryError PAGINATION_NUMBER_INVALID */
export function parsePage(query: Query): PageRequest {
  const n = query.get('n')
  const last = query.get('last') || undefined
  if (n === null || n === '') return { last, count: undefined }
  if (!/^\+?\d{1,15}$/.test(n)) throw new RegistryError('PAGINATION_NUMBER_INVALID', { detail: { n: n.slice(0, 50) } })
  return { last, count: Number(n) }
}

/** Link header to the next page: relative to the host, as registry:2 makes it. */
export function nextLink(path: string, last: string, count: number, more: Record<string, string> = {}): string {
  const query = new URLSearchParams({ ...more, last, n: String(count) })
  return `<${path}?${query}>; rel="next"`
}
