import { type KeyIdForm, sameKey } from '../auth/keys.ts'
import { endOf } from '../tls/pair-file.ts'
import { dayOf, issuerOf, leadsTo, subjectOf } from './certificate.ts'
import type { ClientFacts, TokenFacts } from './client-facts.ts'
import { type Finding, fault } from './finding.ts'
import { certificatesOf, formOf, idOf } from './key-name.ts'
import type { ServerFacts } from './server-facts.ts'
import { change, shellText, textAt } from './settings.ts'

/** The key that signed: by its certificate where the token carries one, else by its id, which generations of registries compute differently. */
export function checkTokenKey(
  { registry, entry, realm }: ClientFacts,
  { x5c, kid = '' }: TokenFacts,
  server: ServerFacts | undefined,
): Finding[] {
  const bundle = server?.bundle !== undefined && 'value' in server.bundle ? server.bundle : undefined
  const about = realm?.realm ?? registry
  const form = formOf(kid)
  const ids = (wanted: KeyIdForm) =>
    bundle?.value.map((one) => `${idOf(one, wanted)} (${subjectOf(one)})`).join(', ') ?? ''
  const addition = bundle && [
    `cat ${shellText(ownCertificate(server) ?? "the token server's certificate")} >> ${shellText(bundle.path)}  (and restart the registry, which reads it when it starts)`,
  ]
  if (x5c !== undefined && x5c.length > 0) {
    const chain = certificatesOf(x5c)
    const [leaf, ...others] = chain
    if (bundle === undefined || leaf === undefined || leadsTo(leaf, others, bundle.value)) return []
    if (bundle.value.some((one) => sameKey(one.publicKey, leaf.publicKey))) {
      const message = `${bundle.path} has another certificate of the key ${kid} than tokens carry (${subjectOf(leaf)}, until ${dayOf(endOf(leaf))}), which does not vouch for it: \`x509: certificate signed by unknown authority\``
      return [fault('untrusted-key', about, message, ...(addition ?? []))]
    }
    const message = `tokens are signed by the key ${kid} with the certificate of ${issuerOf(leaf)}, and ${bundle.path} has ${ids(form ?? 'libtrust')}: \`token signed by untrusted key with ID: ${JSON.stringify(kid)}\``
    return [fault('untrusted-key', about, message, ...(addition ?? []))]
  }
  // registry 2.x says the charset of its JSON, 3 does not.
  const generation = entry?.contentType.includes('charset') === true ? 'libtrust' : 'rfc7638'
  const isKnown =
    bundle === undefined ? undefined : bundle.value.some((one) => form !== undefined && idOf(one, form) === kid)
  if (form !== undefined && form !== generation && isKnown !== false) {
    const [has, wants] = form === 'rfc7638' ? ['as registry 3 does', '2.x'] : ['as registry 2.x does', '3']
    const message = `tokens name their key ${has} (kid ${kid}) and carry no certificate, and the registry, which seems to be ${wants}, computes the id otherwise: \`token signed by untrusted key with ID: ${JSON.stringify(kid)}\``
    const settings = server?.settings
    const old = ['tokenserver', 'token', 'disable_legacy_key_id']
    const isNew = String(generation === 'rfc7638')
    const fixes =
      textAt(settings, old) === undefined
        ? [
            change(settings, ['tokenserver', 'token', 'keyid'], generation),
            `docker_auth: token.disable_legacy_key_id: ${isNew}`,
          ]
        : [change(settings, old, isNew)]
    return [
      fault(
        'kid-generation',
        about,
        message,
        ...fixes,
        `or for both: ${change(settings, ['tokenserver', 'token', 'x5c'], 'auto')}  (Berth alone)`,
      ),
    ]
  }
  if (isKnown !== false || bundle === undefined) return []
  const message = `tokens are signed by the key ${kid}, and ${bundle.path} has ${ids(form ?? generation)}: \`token signed by untrusted key with ID: ${JSON.stringify(kid)}\``
  return [fault('untrusted-key', about, message, ...(addition ?? []))]
}

function ownCertificate(server: ServerFacts | undefined): string | undefined {
  return server?.pairs.find(({ use }) => use === 'tokens')?.certificate.path
}
