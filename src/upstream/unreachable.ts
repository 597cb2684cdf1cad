import { UpstreamError } from './error.ts'

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** OpenSSL's words for a certificate that does not pass, as the runtime gives them. */
const CERTIFICATE = /CERT|SELF_SIGNED|ISSUER|ALTNAME|LEAF_SIGNATURE|ERR_TLS|CA_/

/** What the runtime throws where there is no answer, in words, with what to do about it. */
export function unreachable(url: string, error: unknown): UpstreamError {
  const { host } = new URL(url)
  const code = codeOf(error)
  // The runtime adds how its own function is called.
  const text = error instanceof Error ? error.message : String(error)
  const reason = text.replace(/ fetching "[^"]*".*$/s, '').replace(/\.$/, '')
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new UpstreamError('network', `${host} does not answer in time`, {
      hint: `is ${url} the right address? --timeout 5m waits longer`,
      cause: error,
    })
  }
  if (CERTIFICATE.test(code)) {
    const said = CERTIFICATE_FAULTS[code] ?? reason
    const hint = certificateHint(code, host)
    return new UpstreamError('tls', `the certificate of ${host} is not accepted: ${said} (${code})`, {
      hint,
      cause: error,
    })
  }
  const isBroken = code === 'EPROTO' || code === 'ECONNRESET' || code === 'ConnectionClosed'
  const speaksPlain = url.startsWith('https:') && isBroken
  const words = speaksPlain ? 'it does not speak TLS there' : (FAULTS[code] ?? reason)
  const hint = speaksPlain ? 'for a registry without TLS add --plain-http' : hintOf(url, code, isBroken)
  return new UpstreamError('network', `cannot reach ${host}: ${words}`, { hint, cause: error })
}

function certificateHint(code: string, host: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'renew the certificate of the registry'
  if (code === 'CERT_NOT_YET_VALID') return 'compare the clocks: date says the time of this machine'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `berth doctor ${host} says which names it has`
  // Where docker looks for it, too, and podman below /etc/containers.
  return `put its authority's certificate into /etc/docker/certs.d/${host}/ca.crt, or add --ca-file FILE (berth doctor ${host} says more)`
}

function hintOf(url: string, code: string, isBroken: boolean): string | undefined {
  const { host, port } = new URL(url)
  const isForeign = isBroken || code === 'Malformed_HTTP_Response' || code === 'InvalidHTTPResponse'
  if (isForeign && url.startsWith('http:')) return 'where the registry speaks TLS leave out --plain-http'
  if (code === 'ECONNREFUSED' || code === 'ConnectionRefused') {
    return port === ''
      ? `is it on another port? write HOST:PORT (${host} alone means ${url.startsWith('https:') ? 443 : 80})`
      : 'is the registry running, and is that its port?'
  }
  if (code === 'ENOTFOUND') return 'is the name spelt right, and known here? an address does as well'
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH') return 'is this machine connected?'
  return undefined
}

const FAULTS: Record<string, string> = {
  ECONNREFUSED: 'nobody listens there',
  ConnectionRefused: 'nobody listens there',
  ENOTFOUND: 'there is no such host',
  ECONNRESET: 'the connection was reset',
  ConnectionClosed: 'the connection was closed',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  Malformed_HTTP_Response: 'it answers something that is no HTTP, or has too many headers',
  InvalidHTTPResponse: 'it answers something that is no HTTP',
  InvalidContentLength: 'its answer has a length that is none',
}

const CERTIFICATE_FAULTS: Record<string, string> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed, and not trusted here',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not trusted here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not known here',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for other names or addresses',
}
