import type { X509Certificate } from 'node:crypto'
import { isValidAt } from '../auth/keys.ts'
import { issuerOf, judgeDates, judgeNames, leadsTo, type Served, subjectOf } from './certificate.ts'
import type { ClientFacts } from './client-facts.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import type { ServerFacts } from './server-facts.ts'
import { shellText } from './settings.ts'

/** The certificates of registry and token server, as docker on this machine sees them. */
export function checkServed(facts: ClientFacts, server: ServerFacts | undefined, now: number): Finding[] {
  const { registry, hostname, probe, realm } = facts
  const found = probe.kind === 'tls' ? checkOne(facts, server, probe.chain, registry, hostname, now) : []
  const { url } = realm ?? {}
  if (url === undefined || realm?.probe === undefined || url.host === registry) return found
  if (realm.probe.kind !== 'tls') return found
  return [...found, ...checkOne(facts, server, realm.probe.chain, url.host, url.hostname, now)]
}

function checkOne(
  facts: ClientFacts,
  server: ServerFacts | undefined,
  chain: readonly X509Certificate[],
  about: string,
  hostname: string,
  now: number,
): Finding[] {
  const [leaf, ...others] = chain
  if (leaf === undefined) return []
  const served: Served = {
    about,
    files: filesOf(leaf, server),
    isBerths: issuerOf(leaf).includes('CN=Berth authority '),
  }
  const { kind } = facts.view
  const found = [
    ...judgeDates(leaf, now, served),
    ...judgeNames(leaf, hostname, served),
    ...checkTrust(facts, leaf, others, about, now),
  ]
  if (found.length === 0) {
    return [fine('certificate', about, `names ${hostname}, is in force, and docker trusts who signed it`)]
  }
  if (kind === 'secure') return found
  const why =
    kind === 'loopback'
      ? 'Docker takes any certificate from its own machine; podman and everybody else do not.'
      : 'Docker takes it because of insecure-registries, and so it would take that of anybody in between.'
  return found.map((one) =>
    one.severity === 'fault' ? { ...one, severity: 'warning', message: `${one.message}. ${why}` } : one,
  )
}

/** Where the files of the server are at hand, the remedy names them. */
function filesOf(leaf: X509Certificate, server: ServerFacts | undefined): Served['files'] {
  const pair = server?.pairs.find(
    ({ certificate }) => 'value' in certificate && certificate.value[0]?.raw.equals(leaf.raw) === true,
  )
  return pair && { certificate: pair.certificate.path, key: pair.key.path }
}

/** docker trusts the token server by the folder of the registry, too: both are spoken to with the settings of the registry (moby, registry/auth.go). */
function checkTrust(
  { docker, registry, caFile, view }: ClientFacts,
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  about: string,
  now: number,
): Finding[] {
  const roots = [...docker.authorities, ...docker.roots].filter((one) => isValidAt(one, now))
  if (leadsTo(leaf, others, roots)) return []
  const isSelfSigned = leaf.subject === leaf.issuer
  const who = isSelfSigned ? `nobody but itself (${subjectOf(leaf)})` : issuerOf(others.at(-1) ?? leaf)
  const target = `${docker.folder}/ca.crt`
  const misnamed = docker.files.filter(
    (name) =>
      /\.(pem|cer|ca)$/i.test(name) || (name.endsWith('.cert') && !docker.files.includes(name.replace(/cert$/, 'key'))),
  )
  const wrong =
    misnamed.length === 0
      ? ''
      : `. ${docker.folder} has ${misnamed.join(', ')}: docker takes *.crt alone as an authority`
  const message = `the certificate is signed by ${who}, whom docker does not trust for ${registry}: \`x509: certificate signed by unknown authority\`${wrong}`
  const [first] = misnamed
  const fetched = `openssl s_client -connect ${about.includes(':') ? about : `${about}:443`} -showcerts </dev/null | openssl x509`
  const install =
    first !== undefined
      ? `mv ${shellText(`${docker.folder}/${first}`)} ${shellText(target)}`
      : caFile !== undefined
        ? `mkdir -p ${shellText(docker.folder)} && cp ${shellText(caFile)} ${shellText(target)}`
        : isSelfSigned
          ? `mkdir -p ${shellText(docker.folder)} && ${fetched} > ${shellText(target)}  (compare its fingerprint with that on the server: ${leaf.fingerprint256})`
          : `mkdir -p ${shellText(docker.folder)}, and put the authority's certificate into ${shellText(target)}`
  const make = view.kind === 'loopback' ? warning : fault
  return [
    make(
      'ca-untrusted',
      about,
      message,
      install,
      ...(issuerOf(leaf).includes('CN=Berth authority ')
        ? [
            `berth cert trust ${registry} --from https://${about} --fingerprint SHA256 --for docker --install  (berth cert show on the server says the SHA256)`,
          ]
        : []),
      `podman, skopeo and buildah: the same file as ${shellText(target.replace('/etc/docker/', '/etc/containers/'))}`,
    ),
  ]
}
