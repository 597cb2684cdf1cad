import { UpstreamError } from './error.ts'

/** Of one list: more than the largest registries have, at the smallest page that any gives. */
export const MOST_PAGES = 10_000
/** Bytes of all pages of one list, which is kept in memory: some millions of names. */
const MOST_BYTES = 256 * 1024 * 1024

/** Looks after a list that comes in pages: a registry must not keep us for ever. */
export interface PageGuard {
  /** The next page is asked for. @throws UpstreamError `invalid` for one that was there, or one too many */
  ask(path: string): void
  /** It came. @throws UpstreamError `invalid` for the same as before under another name, or for too many bytes in all */
  got(bytes: Uint8Array): void
}

/** `what`: the list, as errors name it. */
export function guardPages(what: string): PageGuard {
  const seen = new Set<string>()
  let size = 0
  let before: Uint8Array | undefined
  const endless = (reason: string) => new UpstreamError('invalid', `${what}: ${reason}`)
  return {
    ask(path) {
      if (seen.has(path)) throw endless('the registry leads to the same page again')
      if (seen.size === MOST_PAGES) throw endless(`the registry has no end of pages (${MOST_PAGES} were read)`)
      seen.add(path)
    },
    got(bytes) {
      size += bytes.byteLength
      if (size > MOST_BYTES) throw endless(`the registry has no end of pages (${size} bytes were read)`)
      if (before !== undefined && Buffer.compare(before, bytes) === 0)
        throw endless('the registry sends the same page again')
      before = bytes
    },
  }
}

/** What the Link of an answer leads to with `rel="next"` (RFC 8288), as `Session` takes it: a path below `/v2/`, or a URL. */
export function nextPage(response: Response): string | undefined {
  const target = linkTo('next', response.headers.get('link') ?? '')
  if (target === undefined) return undefined
  const marker = '/v2/'
  if (/^https?:\/\//i.test(target)) return target
  const at = target.indexOf(marker)
  return at === -1 ? undefined : target.slice(at + marker.length)
}

/** From one bracket to the next: a header of a stranger is long, and one expression for all of it would try each with each. */
function linkTo(relation: string, header: string): string | undefined {
  const wanted = new RegExp(`^\\s*;[^,]*\\brel="?${relation}"?`, 'i')
  for (let start = header.indexOf('<'); start !== -1; ) {
    const end = header.indexOf('>', start)
    if (end === -1) return undefined
    const next = header.indexOf('<', end)
    const parameters = header.slice(end + 1, next === -1 ? undefined : next)
    if (wanted.test(parameters)) return header.slice(start + 1, end)
    start = next
  }
  return undefined
}
