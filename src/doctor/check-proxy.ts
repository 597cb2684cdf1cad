import { LARGEST } from './body-probe.ts'
import { sizeText } from './check-storage.ts'
import type { ClientFacts } from './client-facts.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import { change, type Settings } from './settings.ts'

/** What something between client and registry does to requests. */
export function checkProxy(facts: ClientFacts, settings: Settings | undefined): Finding[] {
  const { bodies, registry, upload } = facts
  if (bodies === undefined) return []
  const found = [...checkLimit(facts), ...checkBuffer(facts), ...checkLocation(facts, settings)]
  if (found.length > 0) return found
  const places = upload === undefined ? '' : ', and sends uploads to the name that clients use'
  return [fine('proxy', registry, `takes bodies of ${sizeText(LARGEST)}, passes them on at once${places}`)]
}

function checkLimit({ bodies, registry }: ClientFacts): Finding[] {
  const limit = bodies?.limit
  if (limit === undefined) return []
  const taken = limit.taken === 0 ? '' : ` (${sizeText(limit.taken)} is taken)`
  const message = `a body of ${sizeText(limit.refused)} is refused${taken}, so larger layers cannot be pushed: \`413 Request Entity Too Large\``
  return [
    fault(
      'proxy-limits-body',
      registry,
      message,
      'nginx: client_max_body_size 0;',
      'Apache: LimitRequestBody 0; Traefik: no buffering.maxRequestBodyBytes; Caddy: no request_body max_size',
    ),
  ]
}

function checkBuffer({ bodies, registry }: ClientFacts): Finding[] {
  if (bodies?.isBuffered !== true) return []
  const message =
    'something before the registry takes in a whole body before it passes anything on: large pushes fill its disk, and end when its time is up'
  return [
    warning(
      'proxy-buffers-body',
      registry,
      message,
      'nginx: proxy_request_buffering off; proxy_http_version 1.1; proxy_read_timeout 900s;',
      'Traefik: no buffering middleware; HAProxy: no option http-buffer-request',
    ),
  ]
}

/** docker follows the place that the registry gives out for an upload (OCI Distribution Specification 1.1, "Pushing blobs"). */
function checkLocation({ upload, base, registry }: ClientFacts, settings: Settings | undefined): Finding[] {
  const location = upload?.location
  if (location === undefined || !/^https?:\/\//i.test(location)) return []
  const [given, own] = [URL.parse(location), URL.parse(base)]
  if (given === null || own === null || given.origin === own.origin) return []
  const isScheme = given.host === own.host || given.hostname === own.hostname
  const message = isScheme
    ? `uploads are sent to ${given.origin}, and clients came to ${own.origin}: a proxy hides the scheme or the port, and pushes fail or go in clear`
    : `uploads are sent to ${given.origin}, and clients came to ${own.origin}: a proxy rewrites the Host header, and pushes fail with \`no such host\` or \`connection refused\``
  return [
    fault(
      'proxy-rewrites-host',
      registry,
      message,
      'nginx: proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;  (Apache: ProxyPreserveHost On)',
      change(settings, ['http', 'host'], base),
      `or ${change(settings, ['http', 'relativeurls'], 'true')}`,
    ),
  ]
}
