import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { beginOf, endOf, namesOf } from '../tls/pair-file.ts'
import { type Finding, type FindingId, fault, warning } from './finding.ts'

/** Milliseconds before its end at which a certificate is spoken of. */
const SOON = 14 * 86_400_000

export interface Served {
  /** What the finding is about: `registry.example:5000`, `config.yml:12`. */
  about: string
  /** Its PEM files, where they are known: the remedy names them. */
  files?: { certificate: string; key: string } | undefined
  /** Whether Berth's own authority made it, so that Berth makes the next one, too. */
  isBerths?: boolean
}

/** One line. */
export function subjectOf(certificate: X509Certificate): string {
  return certificate.subject.replaceAll('\n', ', ') || '(no subject)'
}

export function issuerOf(certificate: X509Certificate): string {
  return certificate.issuer.replaceAll('\n', ', ') || '(no issuer)'
}

/** `2027-01-31` */
export function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

/** Whether clients that call the server so take the certificate: only subjectAltName counts (RFC 9525 section 6.3, Go's crypto/x509). */
export function covers(certificate: X509Certificate, hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined
  return namesOf(certificate).length > 0 && certificate.checkHost(host, { subject: 'never' }) !== undefined
}

/** Clients that call the server `hostname`; undefined: what they call it is not known, and only a certificate without any name is wrong for all. */
export function judgeNames(certificate: X509Certificate, hostname: string | undefined, served: Served): Finding[] {
  const names = namesOf(certificate)
  if (hostname === undefined ? names.length > 0 : covers(certificate, hostname)) return []
  const host = hostname?.replace(/^\[|\]$/g, '')
  const who = subjectOf(certificate)
  const common = /^CN=(.*)$/m.exec(certificate.subject)?.[1]
  const bare = common === undefined ? `no name at all (${who})` : `a Common Name alone (${who})`
  const has = names.length === 0 ? bare : `only ${names.join(', ')}`
  const lacks = host === undefined ? '' : ` and does not name ${host}`
  const message = `the certificate has ${has}${lacks}, so clients refuse it: \`${refusalOf(names, common, host)}\``
  const found = fault('certificate-names', served.about, message, ...remade([...names, host ?? 'HOST'], served))
  return [{ ...found, names: { certificate: certificate.fingerprint256, host } }]
}

/** As Go words it (crypto/x509, HostnameError). */
function refusalOf(names: readonly string[], common: string | undefined, host: string | undefined): string {
  if (names.length > 0) return `x509: certificate is valid for ${names.join(', ')}, not ${host}`
  if (host !== undefined && isIP(host) !== 0)
    return `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`
  const isLegacy = common !== undefined && (host === undefined || common.toLowerCase() === host.toLowerCase())
  return isLegacy
    ? 'x509: certificate relies on legacy Common Name field, use SANs instead'
    : `x509: certificate is not valid for any names, but wanted to match ${host ?? 'HOST'}`
}

export function judgeDates(
  certificate: X509Certificate,
  now: number,
  served: Served,
  ids: { expired: FindingId; early: FindingId } = {
    expired: 'certificate-expired',
    early: 'certificate-not-yet-valid',
  },
): Finding[] {
  const [begin, end] = [beginOf(certificate), endOf(certificate)]
  const who = `the certificate (${subjectOf(certificate)})`
  const names = namesOf(certificate)
  if (end < now) {
    const message = `${who} ended on ${dayOf(end)}: \`x509: certificate has expired or is not yet valid\``
    return [fault(ids.expired, served.about, message, ...remade(names, served))]
  }
  if (begin > now) {
    const message = `${who} begins on ${dayOf(begin)}, and the clock here says ${new Date(now).toISOString()}: \`x509: certificate has expired or is not yet valid\``
    return [fault(ids.early, served.about, message, 'timedatectl set-ntp true', ...remade(names, served))]
  }
  if (end - now > SOON) return []
  return [warning(ids.expired, served.about, `${who} ends on ${dayOf(end)}`, ...remade(names, served))]
}

/** How to get another certificate with these names. */
function remade(names: readonly string[], { files, isBerths }: Served): string[] {
  const wanted = [...new Set(names.length === 0 ? ['HOST'] : names)]
  if (isBerths === true) return ['berth cert renew', `berth serve --tls auto --tls-name ${wanted.at(-1)}`]
  const { certificate, key } = files ?? { certificate: 'server.pem', key: 'server.key' }
  const extension = wanted.map((name) => `${isIP(name) === 0 ? 'DNS' : 'IP'}:${name}`).join(',')
  const openssl = `openssl req -x509 -key ${key} -days 365 -out ${certificate} -subj /CN=${wanted[0]} -addext subjectAltName=${extension}`
  return [
    `${openssl}  (on the server, then restart it, and give the new certificate to whoever trusted the old one)`,
    `or let Berth make and renew it: berth serve --tls auto --tls-name ${wanted.at(-1)}`,
  ]
}

/**
 * Whether a path of signatures leads from the leaf to one of the roots, or the leaf itself is among them, as Go's crypto/x509 decides for docker
 * and the registries: it takes no certificate into a path that has one of the same subject, key and subjectAltName (alreadyInChain), so that one
 * that was renewed with its key is not vouched for by the one before. Dates are judged by themselves.
 */
export function leadsTo(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): boolean {
  const untried = new Set(others)
  const climb = (path: readonly X509Certificate[], last: X509Certificate): boolean => {
    const mayFollow = (issuer: X509Certificate) =>
      !path.some((one) => isSameHolder(one, issuer)) && hasIssued(issuer, last)
    if (roots.some(mayFollow)) return true
    return [...untried].some((issuer) => {
      if (!untried.has(issuer) || !mayFollow(issuer)) return false
      untried.delete(issuer)
      return climb([...path, issuer], issuer)
    })
  }
  return roots.some((root) => root.raw.equals(leaf.raw)) || climb([leaf], leaf)
}

function isSameHolder(a: X509Certificate, b: X509Certificate): boolean {
  return a.subject === b.subject && a.subjectAltName === b.subjectAltName && a.publicKey.equals(b.publicKey)
}

export function hasIssued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return issuer.subject === certificate.issuer && issuer.ca && certificate.verify(issuer.publicKey)
}
