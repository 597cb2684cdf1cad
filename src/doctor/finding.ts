/** Everything that the doctor can find, with what it means; the documents list it, and a test makes each for real. */
export const MEANINGS = {
  'registry-unreachable': 'nobody answers at the address of the registry',
  'not-a-registry': 'what answers there is no registry',
  'realm-unreachable': 'clients cannot reach the token server under the address that the registry names (the realm)',
  'realm-invalid': 'the realm that the registry names is no address, or what answers there is no token server',
  'realm-plain-http': 'the registry has TLS and its token server has none: passwords go there in clear',
  'certificate-names': 'the certificate does not name the host or the address that clients use (SAN)',
  'certificate-expired': 'the certificate is over',
  'certificate-not-yet-valid': 'the certificate begins later, or the clock is behind',
  'ca-untrusted': 'docker does not trust whoever signed the certificate',
  'insecure-registry-needed': 'docker demands TLS, which the registry does not have',
  'insecure-registry-unneeded': 'insecure-registries names a registry that does not need it',
  'docker-settings-invalid': "docker's daemon.json cannot be read, so that dockerd does not start",
  'key-mismatch': 'a private key does not belong to its certificate',
  'key-exposed': 'a private key may be read by every user of the machine',
  'file-unusable': 'a file that the configuration names is missing, unreadable or damaged',
  'issuer-mismatch': 'the token server calls itself otherwise than the registry expects (iss)',
  'service-mismatch': 'rules or tokens are for a service that the registry is not called',
  'audience-mismatch': 'tokens are made out to another service than the registry (aud)',
  'untrusted-key': "the certificate of the key that signs tokens is not in the registry's rootcertbundle",
  'kid-generation': 'tokens name their key as the other generation of registries does (kid)',
  'token-certificate-expired': 'the certificate of the key that signs tokens is over, or begins later',
  'clock-skew': 'the clocks of registry, token server and client differ by more than is tolerated',
  'token-refused': 'the registry refuses the tokens of its token server',
  'credentials-refused': 'the name and the password (or the stored token) are not accepted',
  'scope-insufficient': 'a token grants less than was asked for (insufficient_scope)',
  'catalog-denied': 'listing repositories needs registry:catalog:*, which is not granted',
  'push-without-pull': 'push is granted without pull, and a push needs both',
  'registry-failing': 'the registry answers with an error of its own (5xx)',
  'image-missing': 'there is no such image',
  'proxy-rewrites-host': 'a proxy hides the name or the scheme that clients use, and uploads are sent elsewhere',
  'proxy-limits-body': 'a proxy refuses large layers',
  'proxy-buffers-body': 'a proxy keeps a whole layer before it passes it on',
  'password-not-bcrypt': 'a password is stored in a form that registries do not take',
  'disk-full': 'the disk of the registry is full, or nearly so',
  'data-not-writable': 'the registry may not write its data',
  'config-invalid': 'the configuration is refused',
  'config-doubtful': 'the configuration is accepted, and says something that is probably not meant',
} as const

export type FindingId = keyof typeof MEANINGS

/** What was looked at and is well, or could not be looked at. */
export type Topic =
  | 'reach'
  | 'certificate'
  | 'trust'
  | 'token-server'
  | 'token'
  | 'rights'
  | 'image'
  | 'proxy'
  | 'docker'
  | 'keys'
  | 'passwords'
  | 'storage'
  | 'configuration'

interface Words {
  /** What it is about: `registry.example:5000`, `auth.token.realm`, a file. */
  about: string
  /** One or two plain sentences. */
  message: string
  /** Of `certificate-names`: the certificate's fingerprint, and the name that it lacks, where that is known. Not shown. */
  names?: { certificate: string; host: string | undefined }
  /** Whether the registry that was asked took a token, or Berth as the registry would where others do not. Not shown. */
  tokens?: 'taken' | 'taken by Berth'
}

export type Finding = Words &
  (
    | { severity: 'ok' | 'note'; id: Topic; fix: readonly [] }
    /** `fix`: a line each: what to write where, or a command. */
    | { severity: 'warning' | 'fault'; id: FindingId; fix: readonly string[] }
  )

export function fault(id: FindingId, about: string, message: string, ...fix: string[]): Finding {
  return { severity: 'fault', id, about, message, fix }
}

export function warning(id: FindingId, about: string, message: string, ...fix: string[]): Finding {
  return { severity: 'warning', id, about, message, fix }
}

export function fine(id: Topic, about: string, message: string): Finding {
  return { severity: 'ok', id, about, message, fix: [] }
}

/** What could not be looked at, and why. */
export function note(id: Topic, about: string, message: string): Finding {
  return { severity: 'note', id, about, message, fix: [] }
}

type Trouble = Extract<Finding, { severity: 'warning' | 'fault' }>

export const isTrouble = (finding: Finding): finding is Trouble =>
  finding.severity === 'warning' || finding.severity === 'fault'

/** The same with every text of it changed so. */
export function reworded(finding: Finding, change: (text: string) => string): Finding {
  const words = { about: change(finding.about), message: change(finding.message) }
  return isTrouble(finding) ? { ...finding, ...words, fix: finding.fix.map(change) } : { ...finding, ...words }
}

export const isFault = ({ severity }: Finding): boolean => severity === 'fault'

/** What files and questions both show is said once: by the files, which know the line, unless only the question showed that it hurts. */
export function merged(server: readonly Finding[], client: readonly Finding[]): Finding[] {
  const isSame = (a: Finding, b: Finding) => a.id === b.id && SHARED.has(a.id)
  const isExplained = server.some((one) => isFault(one) && REASONS.has(one.id))
  const known = client
    .filter((one) => !server.some((other) => isSame(one, other) && isFault(other)))
    .filter((one) => one.id !== 'token-refused' || !isExplained)
  const isTaken = client.some(({ tokens }) => tokens === 'taken')
  return [
    ...server
      .map((one) => (isTaken && one.tokens === 'taken by Berth' ? milder(one) : one))
      .filter((one) => !client.some((other) => isMet(one, other)))
      .filter((one) => isFault(one) || !known.some((other) => isSame(one, other) && isFault(other))),
    ...known,
  ]
}

function milder(finding: Finding): Finding {
  if (!isTrouble(finding)) return finding
  return { ...finding, severity: 'warning', message: `${finding.message} So did the registry that was asked.` }
}

/** Whether the client met the same certificate, by the name in question: how much that hurts is then known. */
function isMet({ names: file }: Finding, { names: met }: Finding): boolean {
  if (file === undefined || file.certificate !== met?.certificate) return false
  return file.host === undefined || file.host === met.host
}

const SHARED: ReadonlySet<string> = new Set<FindingId>([
  'issuer-mismatch',
  'untrusted-key',
  'realm-invalid',
  'realm-plain-http',
  'realm-unreachable',
])
/** Why a registry refuses tokens, as files show it. */
const REASONS: ReadonlySet<string> = new Set<FindingId>([
  'issuer-mismatch',
  'untrusted-key',
  'token-certificate-expired',
])
