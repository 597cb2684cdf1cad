import { isDigest } from '../oci/digest.ts'
import { ERROR_MESSAGES } from '../oci/error.ts'
import { type Fields, plain, type RequestLog } from '../telemetry/log.ts'
import { withoutSecrets } from './access-log.ts'
import { answerOf, asRegistryError } from './errors.ts'
import type { ClientAddressOf } from './peer.ts'
import { idOf, type Trail } from './trail.ts'

/** Writes about requests what distribution writes: its lines, its levels, its names of fields. */
export interface RequestLogger {
  /** When it is answered; `now` is of the same clock as the trail's start. */
  answered(trail: Trail, response: Response, now: number): void
}

/**
 * `every`: a line for each request (`response completed`, or `... with error` for each of its errors). Without it only those of
 * failures of the server, and refused credentials.
 */
export function createRequestLogger(options: {
  log: RequestLog
  every: boolean
  clientAddress: ClientAddressOf
}): RequestLogger {
  const { log, every, clientAddress } = options
  const says = { debug: log.enabled('debug'), info: log.enabled('info'), error: log.enabled('error') }

  function requestFields(trail: Trail): Fields {
    const { request, target, subject, traceId } = trail
    const { headers, method, url } = request
    const fields: Fields = {
      'http.request.host': headers.get('host') ?? '',
      'http.request.id': idOf(trail),
      'http.request.method': method,
      'http.request.remoteaddr': remoteAddress(trail),
      'http.request.uri': withoutSecrets(pathOf(url)),
      'http.request.useragent': headers.get('user-agent') ?? undefined,
      'http.request.contenttype': headers.get('content-type') ?? undefined,
      'http.request.referer': referer(headers.get('referer')),
    }
    if (subject !== undefined && subject.name !== '') fields['auth.user.name'] = subject.name
    if (traceId !== undefined) fields['trace.id'] = traceId
    if (target !== undefined && target.name !== '') {
      fields['vars.name'] = target.name
      const { reference } = target
      if (target.resource === 'manifest') fields['vars.reference'] = reference
      else if (target.resource === 'upload') fields['vars.uuid'] = reference
      else if (target.resource === 'blob' || target.resource === 'referrers' || target.resource === 'trash') {
        if (isDigest(reference)) fields['vars.digest'] = reference
      }
    }
    return fields

    function remoteAddress({ connection }: Trail): string {
      const peer = connection.peer()
      const client = clientAddress(peer, headers.get('x-forwarded-for'))
      if (client === undefined) return ''
      const port = client === clientAddress(peer, null) ? connection.port?.() : undefined
      const host = client.includes(':') && port !== undefined ? `[${client}]` : client
      return port === undefined ? host : `${host}:${port}`
    }
  }

  function responseFields(trail: Trail, response: Response, now: number): Fields {
    const { headers, status } = response
    return {
      'http.response.contenttype': headers.get('content-type') ?? undefined,
      'http.response.duration': goDuration(now - trail.startedAt),
      'http.response.status': status,
      'http.response.written': trail.request.method === 'HEAD' ? 0 : Number(headers.get('content-length') ?? 0),
    }
  }

  function failed(trail: Trail, response: Response, now: number): void {
    const isOurs = response.status >= 500 && answerOf(trail.error).status >= 500
    if (!says.error || !(every || isOurs)) return
    const fields = { ...requestFields(trail), ...responseFields(trail, response, now) }
    const known = asRegistryError(trail.error)
    for (const error of [known, ...known.more]) {
      const isUnknown = error.code === 'UNKNOWN' && error.cause !== undefined
      log.later('error', 'response completed with error', {
        ...fields,
        'err.code': error.code.toLowerCase().replaceAll('_', ' '),
        'err.message': error.message || ERROR_MESSAGES[error.code],
        // What is nobody's business but the operator's stands here alone.
        'err.detail': isUnknown || error.detail === undefined ? plain(error.cause) : error.detail,
        ...(isUnknown || error.cause === undefined || error.detail === undefined
          ? {}
          : { 'err.cause': plain(error.cause) }),
      })
    }
  }

  return {
    answered(trail, response, now) {
      const { refusal, error, request } = trail
      if (error !== undefined) failed(trail, response, now)
      else if (refusal !== undefined) {
        // Without credentials it is a client's ordinary first step.
        const level = request.headers.has('authorization') ? 'warn' : 'info'
        if (level === 'warn' || (every && says.info)) {
          log.later(level, `error authorizing context: ${refusal}`, requestFields(trail))
        }
      } else if (every && says.info && trail.target !== undefined && response.status < 400) {
        log.later('info', 'response completed', { ...requestFields(trail), ...responseFields(trail, response, now) })
      }
    },
  }
}

function pathOf(url: string): string {
  return url.startsWith('/') ? url : url.slice(Math.max(0, url.indexOf('/', url.indexOf('://') + 3)))
}

function referer(text: string | null): string | undefined {
  return text === null ? undefined : withoutSecrets(text)
}

/** Milliseconds as Go prints a duration: `1.646809ms`, `58.23µs`, `1m2.5s`. */
export function goDuration(milliseconds: number): string {
  const nanoseconds = Math.max(0, Math.round(milliseconds * 1e6))
  const short = (value: number, digits: number) => String(Number(value.toFixed(digits)))
  if (nanoseconds === 0) return '0s'
  if (nanoseconds < 1e3) return `${nanoseconds}ns`
  if (nanoseconds < 1e6) return `${short(nanoseconds / 1e3, 3)}µs`
  if (nanoseconds < 1e9) return `${short(nanoseconds / 1e6, 6)}ms`
  const seconds = nanoseconds / 1e9
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const rest = `${short(seconds - minutes * 60, 9)}s`
  if (hours > 0) return `${hours}h${minutes % 60}m${rest}`
  return minutes > 0 ? `${minutes}m${rest}` : rest
}
