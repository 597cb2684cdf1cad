import { judgeDates, judgeNames, type Served, subjectOf } from './certificate.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import { hostOf, isLoopbackHost } from './host.ts'
import { belongTogether, type FileOf, type PairFacts, type ServerFacts } from './server-facts.ts'
import { change, nameOf, shellText, textAt, whereIs } from './settings.ts'

/** Files that the configuration names: whether they are there, belong together, and are for the names that clients use. */
export function checkPairs(facts: ServerFacts, now: number): Finding[] {
  const { pairs, bundle } = facts
  const isAlone = (pair: PairFacts) => pair.use !== 'tokens' || !pairs.some((one) => one !== pair && isSame(one, pair))
  return [
    ...pairs.filter(isAlone).flatMap((pair) => checkPair(pair, facts, now)),
    ...(bundle !== undefined && 'fault' in bundle ? [unusable(bundle, facts)] : []),
  ]
}

function isSame(a: PairFacts, b: PairFacts): boolean {
  return a.certificate.path === b.certificate.path && a.key.path === b.key.path
}

function checkPair(pair: PairFacts, facts: ServerFacts, now: number): Finding[] {
  const { certificate, key } = pair
  const missing = [certificate, key].filter((file) => 'fault' in file).map((file) => unusable(file, facts))
  const exposed = pair.isExposed ? [exposedKey(pair)] : []
  if (!('value' in certificate) || !('value' in key)) return [...missing, ...exposed]
  const [leaf] = certificate.value
  if (leaf === undefined) return [...missing, ...exposed]
  const about = whereIs(facts.settings, certificate.key) ?? certificate.path
  if (!belongTogether(leaf, key.value)) {
    const other = certificate.value.findIndex((one) => belongTogether(one, key.value))
    const message = `the key ${key.path} does not belong to the certificate ${certificate.path} (${subjectOf(leaf)}): \`tls: private key does not match public key\``
    const fix =
      other === -1
        ? [
            `openssl req -x509 -key ${shellText(key.path)} -days 365 -out ${shellText(certificate.path)} -subj /CN=HOST -addext subjectAltName=DNS:HOST  (a certificate for this key)`,
            change(facts.settings, key.key, 'the key that the certificate was made with'),
          ]
        : [`${certificate.path}: the key's certificate is the ${other + 1}. of the file: put it first`]
    return [...exposed, fault('key-mismatch', about, message, ...fix)]
  }
  if (pair.use === 'tokens') return exposed
  const served: Served = { about, files: { certificate: certificate.path, key: key.path } }
  const found = [...judgeDates(leaf, now, served), ...namesFor(pair, leaf, facts, served)]
  return [
    ...exposed,
    ...found,
    ...(found.length > 0 ? [] : [fine('certificate', about, `${certificate.path} is in force and belongs to its key`)]),
  ]
}

/** What clients call the server is known where the configuration says it. */
function namesFor(
  { use }: PairFacts,
  leaf: Parameters<typeof judgeNames>[0],
  { settings }: ServerFacts,
  served: Served,
): Finding[] {
  const url = textAt(settings, use === 'registry' ? ['http', 'host'] : ['auth', 'token', 'realm'])
  const host = url === undefined ? undefined : hostOf(url)
  // docker takes any certificate from its own machine.
  const address = textAt(settings, use === 'registry' ? ['http', 'addr'] : ['tokenserver', 'server', 'addr']) ?? ''
  const isAtHome = isLoopbackHost(host ?? address.replace(/:[^:]*$/, ''))
  return judgeNames(leaf, host, served).map((one) =>
    isAtHome && one.severity === 'fault' ? { ...one, severity: 'warning' } : one,
  )
}

function unusable(file: Extract<FileOf<unknown>, { fault: string }>, { settings }: ServerFacts): Finding {
  const about = whereIs(settings, file.key) ?? file.path
  const message = `${nameOf(settings, file.key)} names ${file.path}, which ${file.fault}`
  return fault('file-unusable', about, message, change(settings, file.key, 'a file that the server may read'))
}

function exposedKey({ key }: PairFacts): Finding {
  const message = `${key.path} may be read by every user of this machine, who can then pass for the server`
  return warning('key-exposed', key.path, message, `chmod 600 ${shellText(key.path)}`)
}
