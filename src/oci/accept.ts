/** One entry of an Accept header: a media type or a range of them, in lower case, with its quality (0 to 1). */
interface Preference {
  type: string
  quality: number
}

export type Acceptance = (mediaType: string) => boolean

const everything: Acceptance = () => true

/**
 * RFC 9110 section 12.5.1. The most specific entry that fits a media type decides; quality 0 refuses it.
 * No header, or one without a single readable entry, accepts everything.
 */
export function parseAccept(header: string | null): Acceptance {
  if (header === null) return everything
  const preferences = header
    .split(',')
    .map(parsePreference)
    .filter((entry) => entry !== undefined)
  if (preferences.length === 0) return everything
  const qualities = new Map<string, number>()
  for (const { type, quality } of preferences) qualities.set(type, Math.max(quality, qualities.get(type) ?? 0))
  return (mediaType) => {
    const exact = mediaType.toLowerCase()
    const quality =
      qualities.get(exact) ?? qualities.get(`${exact.slice(0, exact.indexOf('/'))}/*`) ?? qualities.get('*/*') ?? 0
    return quality > 0
  }
}

function parsePreference(text: string): Preference | undefined {
  const [head = '', ...parameters] = text.split(';')
  const type = head.trim().toLowerCase()
  if (!/^[^\s/]+\/[^\s/]+$/.test(type)) return undefined
  let quality = 1
  for (const parameter of parameters) {
    const equals = parameter.indexOf('=')
    if (equals === -1 || parameter.slice(0, equals).trim().toLowerCase() !== 'q') continue
    // No value is 0.
    const value = Number(parameter.slice(equals + 1).trim())
    quality = Number.isFinite(value) ? Math.min(1, Math.max(0, value)) : 0
  }
  return { type, quality }
}
