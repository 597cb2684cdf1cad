import type { Config, EndpointConfig } from './config.ts'
import type { Distribution } from './distribution.ts'
import { parseDuration } from './duration.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'
import { resolveHeaders } from './resolve-http.ts'

type RawEndpoint = Distribution['notifications']['endpoints'][number]

/** distribution: notifications/endpoint.go, EndpointConfig.defaults. Milliseconds. */
const TIMEOUT = 1000
const THRESHOLD = 10
const BACKOFF = 1000
/** Long enough for a weekend. */
const MAX_AGE = 72 * 3_600_000
const ACTIONS = ['push', 'pull', 'mount', 'delete']
/** Headers that are the request's own. */
const OWN_HEADERS = new Set(['content-type', 'content-length', 'transfer-encoding', 'connection', 'host'])

export function resolveNotifications(raw: Distribution['notifications'], places: Places): Config['notifications'] {
  const endpoints = raw.endpoints.map((endpoint, index) =>
    resolveEndpoint(endpoint, ['notifications', 'endpoints', index], places),
  )
  const first = new Map<string, number>()
  for (const [index, { name }] of endpoints.entries()) {
    const before = first.get(name)
    if (before === undefined) first.set(name, index)
    else {
      places.problem(
        ['notifications', 'endpoints', index, 'name'],
        `${JSON.stringify(name)} is the name of endpoints[${before}], too`,
        'Each endpoint has a queue of its own, which goes by its name: give them different ones.',
      )
    }
  }
  return { includeReferences: raw.events.includereferences, endpoints }
}

function resolveEndpoint(raw: RawEndpoint, path: Path, places: Places): EndpointConfig {
  const { disabled, url = '', ignore } = raw
  // One that is not used may be half written.
  const host = hostOf(url)
  if (!disabled && host === undefined) {
    places.problem([...path, 'url'], 'is no URL to post to', 'Write one such as https://hooks.example/registry.')
  }
  const ignoredActions = ignore.actions
  for (const [index, action] of ignoredActions.entries()) {
    if (ACTIONS.includes(action)) continue
    const fix = `Actions are ${ACTIONS.join(', ')}.`
    places.warn([...path, 'ignore', 'actions', index], `no event has the action ${JSON.stringify(action)}`, fix)
  }
  const isNegative = raw.maxattempts < 0
  if (isNegative) places.problem([...path, 'maxattempts'], 'must not be negative', 'Write 0 for any number.')
  return {
    name: raw.name || host || `endpoint-${path.at(-1)}`,
    disabled,
    url,
    headers: ownHeaders(raw.headers, [...path, 'headers'], places),
    timeoutMs: positive(raw.timeout, TIMEOUT, [...path, 'timeout'], places),
    threshold: raw.threshold <= 0 ? THRESHOLD : raw.threshold,
    backoffMs: positive(raw.backoff, BACKOFF, [...path, 'backoff'], places),
    ignoredMediaTypes: [...raw.ignoredmediatypes, ...ignore.mediatypes],
    ignoredActions,
    mediaType: raw.mediatype,
    maxAttempts: raw.maxattempts,
    maxAgeMs: raw.maxage ? milliseconds(raw.maxage, MAX_AGE, [...path, 'maxage'], places) : MAX_AGE,
  }
}

function hostOf(url: string): string | undefined {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  return parsed !== undefined && /^https?:$/.test(parsed.protocol) && parsed.host !== '' ? parsed.host : undefined
}

function ownHeaders(headers: RawEndpoint['headers'], path: Path, places: Places): Record<string, string[]> {
  const kept = Object.entries(headers).filter(([name]) => {
    if (!OWN_HEADERS.has(name.toLowerCase())) return true
    const fix = name.toLowerCase() === 'content-type' ? 'The key mediatype chooses the media type.' : undefined
    places.warn([...path, name], 'is set by the request itself; it is left out', fix)
    return false
  })
  return resolveHeaders(Object.fromEntries(kept), path, places)
}

/** What is 0 or less means the default, as in the original; so does what could be no time at all. */
function positive(text: string | undefined, fallback: number, path: Path, places: Places): number {
  const value = milliseconds(text || '0', fallback, path, places)
  if (value >= 1) return value
  if (value > 0) {
    const fix = 'A number without a unit is in nanoseconds.'
    places.warn(path, `${JSON.stringify(text)} is less than a millisecond; ${fallback / 1000}s is used`, fix)
  }
  return fallback
}

function milliseconds(text: string, fallback: number, path: Path, places: Places): number {
  const value = parseDuration(text)
  if (value !== undefined) return Math.max(0, value)
  places.problem(path, `${JSON.stringify(text)} is no duration; write one such as 10s or 2h45m`)
  return fallback
}
