import type { X509Certificate } from 'node:crypto'
import { createPublicKey } from 'node:crypto'
import {
  carriedCertificates,
  compatibilityWarning,
  isValidAt,
  type KeyIdForm,
  sameKey,
  type VerifyingKey,
  verifyingKey,
} from '../auth/keys.ts'
import { hasIssued, judgeDates, leadsTo, subjectOf } from './certificate.ts'
import { type Finding, fault, fine, warning } from './finding.ts'
import { idOf } from './key-name.ts'
import { BUNDLE, belongTogether, type FileOf, type PairFacts, type ServerFacts } from './server-facts.ts'
import { change, shellText, textAt, whereIs } from './settings.ts'

/**
 * Whether a registry with that `rootcertbundle` takes the tokens of the pair. It looks at `x5c` first and never goes on to `kid` when
 * that fails (distribution, registry/auth/token), so a certificate that it cannot check is worse than none.
 */
export function checkSigningKey(facts: ServerFacts, now: number): Finding[] {
  const pair = facts.pairs.find(({ use }) => use === 'tokens')
  if (pair === undefined || !('value' in pair.certificate) || !('value' in pair.key)) return []
  const certificates = pair.certificate.value
  const [leaf] = certificates
  if (leaf === undefined || !belongTogether(leaf, pair.key.value)) return []
  const about = whereIs(facts.settings, pair.certificate.key) ?? pair.certificate.path
  let key: VerifyingKey
  try {
    key = verifyingKey(certificates, createPublicKey(pair.key.value))
  } catch (error) {
    return [fault('file-unusable', about, error instanceof Error ? error.message : String(error))]
  }
  const use = useOf(facts)
  const kind = compatibilityWarning([key])
  return [
    ...dates(pair, key, use, about, now),
    ...(facts.bundle !== undefined && 'value' in facts.bundle
      ? againstBundle(facts, facts.bundle, pair, key, use, now)
      : []),
    ...(kind === undefined ? [] : [warning('kid-generation', about, kind)]),
  ]
}

interface Use {
  keyId: KeyIdForm
  x5c: 'auto' | 'always' | 'never'
}

/** As the configuration says it, also where Berth would refuse it. */
function useOf({ tokenServer, settings }: ServerFacts): Use {
  if (tokenServer !== undefined) return { keyId: tokenServer.keyId, x5c: tokenServer.x5c }
  const inToken = (key: string) => textAt(settings, ['tokenserver', 'token', key])
  const x5c = inToken('x5c')
  const isNew = inToken('keyid') === 'rfc7638' || inToken('disable_legacy_key_id') === 'true'
  return { keyId: isNew ? 'rfc7638' : 'libtrust', x5c: x5c === 'always' || x5c === 'never' ? x5c : 'auto' }
}

function dates(
  { certificate, key: file }: PairFacts,
  key: VerifyingKey,
  { x5c }: Use,
  about: string,
  now: number,
): Finding[] {
  const late = carriedCertificates(key).find((one) => !isValidAt(one, now))
  if (late === undefined) return []
  const ids = { expired: 'token-certificate-expired', early: 'token-certificate-expired' } as const
  const served = { about, files: { certificate: certificate.path, key: file.path } }
  return judgeDates(late, now, served, ids).map((one) => {
    if (x5c === 'always')
      return {
        ...one,
        message: `${one.message}. Every token carries it (token.x5c: always), so registries refuse them`,
      }
    const effect =
      'Tokens do not carry it now, so only registries that have this very certificate in their rootcertbundle take them'
    return one.severity === 'fault' ? { ...one, severity: 'warning', message: `${one.message}. ${effect}` } : one
  })
}

function againstBundle(
  { settings }: ServerFacts,
  bundle: Extract<FileOf<X509Certificate[]>, { value: X509Certificate[] }>,
  pair: PairFacts,
  key: VerifyingKey,
  { keyId, x5c }: Use,
  now: number,
): Finding[] {
  const about = whereIs(settings, BUNDLE) ?? bundle.path
  const carried = carriedCertificates(key)
  const isCarried = x5c === 'always' || (x5c === 'auto' && carried.every((one) => isValidAt(one, now)))
  const knowsKey = bundle.value.some((one) => sameKey(one.publicKey, key.publicKey))
  const [leaf, ...others] = carried
  const roots = bundle.value.filter((one) => isValidAt(one, now))
  const leads = leaf !== undefined && leadsTo(leaf, others, roots)
  const own = shellText(pair.certificate.path)
  const add = [
    `cat ${own} >> ${shellText(bundle.path)}  (and restart the registry, which reads it when it starts)`,
    change(settings, BUNDLE, pair.certificate.path),
  ]
  if (isCarried && leaf !== undefined && !leads && knowsKey) {
    const isTaken = roots.some((root) => hasIssued(root, leaf))
    const message = `${bundle.path} has an older certificate of the key that signs tokens: registry:2 and 3 check the new one, which tokens carry, and refuse it: \`x509: certificate signed by unknown authority\`.${isTaken ? ' Berth as the registry takes it.' : ''}`
    const fixes = [...add, change(settings, ['tokenserver', 'token', 'x5c'], 'never')]
    return [{ ...fault('untrusted-key', about, message, ...fixes), ...(isTaken && { tokens: 'taken by Berth' }) }]
  }
  if (!(isCarried ? leads : knowsKey)) {
    const id = key.ids[keyId]
    const has = bundle.value.map((one) => `${idOf(one, keyId)} (${subjectOf(one)})`).join(', ')
    const message = `tokens are signed by the key ${id}, and ${bundle.path} has ${has}: \`token signed by untrusted key with ID: ${JSON.stringify(id)}\``
    return [fault('untrusted-key', about, message, ...add)]
  }
  const generation =
    keyId === 'libtrust'
      ? 'registry 2.x names it (3 names it otherwise)'
      : 'registry 3 names it (2.x names it otherwise)'
  const how = isCarried ? 'by the certificate that they carry' : `by the key id ${key.ids[keyId]}, as ${generation}`
  return [fine('keys', about, `a registry with this rootcertbundle takes the tokens ${how}`)]
}
