const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`)
const GROUP = /^[\da-f]{1,4}$/i
const ZONE = /%[\w.:-]+$/

/**
 * 4 or 6 for the text of an address (RFC 4291 section 2.2, with or without a zone), 0 for any other: as `isIP` of the runtime,
 * whose module a server would load for it alone.
 */
export function isIP(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) return 4
  return text.includes(':') && isIPv6(text.replace(ZONE, '')) ? 6 : 0
}

function isIPv6(text: string): boolean {
  const [head = '', tail, ...more] = text.split('::')
  if (more.length > 0) return false
  if (tail === undefined) return groupsOf(head) === 8
  const before = head === '' ? 0 : head.includes('.') ? Number.NaN : groupsOf(head)
  const after = tail === '' ? 0 : groupsOf(tail)
  // `::` stands for one group at least.
  return before + after <= 7
}

/** How many groups of 16 bits are written there; NaN when something is none. An IPv4 address at the end is two. */
function groupsOf(text: string): number {
  const parts = text.split(':')
  const last = parts.at(-1) ?? ''
  const isMixed = IPV4.test(last)
  const groups = isMixed ? parts.slice(0, -1) : parts
  return groups.every((group) => GROUP.test(group)) ? groups.length + (isMixed ? 2 : 0) : Number.NaN
}
