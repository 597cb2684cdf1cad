import type { Labels } from './authenticator.ts'

/** Stands for the account in `filter` and `bind_dn`. */
const PLACE = '$' + '{account}'
/** Bytes of UTF-8 that a filter wrote in hex (RFC 4515 section 3), two or more. */
const HEX_RUN = /(?:\\[89a-f][0-9a-f]){2,}/gi
/** `(attribute=…`, `(attribute~=…` and `(attribute:rule:=…` (RFC 4515 section 3), up to the end of the value. */
const ASSERTION = /\(([a-z][\w.;-]*)(?:~|:(?:dn:)?(?:[\w.-]+:)?)?=([^()]*)\)/gi

/** The values of an attribute, none when the entry has none (or does not show them). */
export type ValuesOf = (attribute: string) => readonly string[]

/** From which attribute a label comes. */
export interface LabelSource {
  attribute: string
  /** Of values that are DNs, only the common name. */
  parseCn: boolean
  lowerCase: boolean
}

/** An LDAP filter with places for the account. */
export interface FilterTemplate {
  /** The filter for this account, which is escaped. */
  fill(account: string): string
  /** The attributes that the filter compares with the account. */
  readonly attributes: readonly string[]
  /**
   * Whether one of these attributes is the account to the letter. LDAP compares names without case and space, and the rules
   * that follow do not: `BOB` must not log in as `bob` and escape the rule for `bob`. A filter that compares no
   * attribute with the account (or with wildcards only) is not checked.
   */
  isNamed(account: string, valuesOf: ValuesOf): boolean
}

interface Assertion {
  attribute: string
  before: string
  after: string
}

export function parseFilterTemplate(filter: string): FilterTemplate {
  // Each escape for itself would be read as a character of Latin-1.
  const text = filter.replace(HEX_RUN, (run) => utf8Of(run) ?? run)
  const template = text.startsWith('(') ? text : `(${text})`
  const assertions = [...template.matchAll(ASSERTION)].flatMap(([, attribute = '', value = '']) => {
    const [before, after, more] = value.split(PLACE)
    if (before === undefined || after === undefined || more !== undefined || value.includes('*')) return []
    return [{ attribute, before: unescapeFilterValue(before), after: unescapeFilterValue(after) }]
  })
  return {
    attributes: [...new Set(assertions.map(({ attribute }) => attribute))],
    fill: (account) => template.replaceAll(PLACE, () => escapeFilterValue(account)),
    isNamed(account, valuesOf) {
      if (assertions.length === 0) return true
      return assertions.some((assertion) =>
        valuesOf(assertion.attribute).some((value) => holdsAccount(value, account, assertion)),
      )
    },
  }
}

/** Only the part that the account stands for must be equal to the letter: the rest is the operator's own text. */
function holdsAccount(value: string, account: string, { before, after }: Assertion): boolean {
  const end = value.length - after.length
  return (
    end >= before.length &&
    value.slice(before.length, end) === account &&
    value.slice(0, before.length).toLowerCase() === before.toLowerCase() &&
    value.slice(end).toLowerCase() === after.toLowerCase()
  )
}

/** Whether that can be the name of an account at all: not empty, and text without control characters. */
export function isAccountName(account: string): boolean {
  return account !== '' && account.isWellFormed() && !/\p{Cc}/u.test(account)
}

/** Attributes are named without case; those with an option (`cn;lang-de`) belong to the one without (RFC 4512 section 2.5). */
export function valuesOfEntry(entry: Readonly<Record<string, string | Buffer | string[] | Buffer[]>>): ValuesOf {
  const all = Object.entries(entry).map(([name, value]) => {
    const values: readonly (string | Buffer)[] = Array.isArray(value) ? value : [value]
    return { name: name.toLowerCase(), values: values.filter((one) => typeof one === 'string') }
  })
  return (attribute) => {
    const wanted = attribute.toLowerCase()
    return all.flatMap(({ name, values }) => (name === wanted || name.startsWith(`${wanted};`) ? values : []))
  }
}

/** A label whose attribute has no value is left out. */
export function labelsOf(sources: Readonly<Record<string, LabelSource>>, valuesOf: ValuesOf): Labels {
  const labels = Object.entries(sources).flatMap(([label, { attribute, parseCn, lowerCase }]) => {
    const values = valuesOf(attribute)
      .map((value) => (parseCn ? (commonNameOf(value) ?? value) : value))
      .map((value) => (lowerCase ? value.toLowerCase() : value))
    return values.length === 0 ? [] : [[label, values] as const]
  })
  return Object.fromEntries(labels)
}

/** RFC 4515 section 3: what would be syntax becomes hex. Other characters stand for themselves, in UTF-8. */
export function escapeFilterValue(value: string): string {
  return value.replace(/[*()\\\0]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`)
}

function unescapeFilterValue(value: string): string {
  return value.replace(/\\([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

/** `bind_dn` with the account in its places. */
export function fillDn(template: string, account: string): string {
  return template.replaceAll(PLACE, () => escapeDnValue(account))
}

/** RFC 4514 section 2.4. */
export function escapeDnValue(value: string): string {
  return value
    .replace(/["+,;<=>\\]/g, (char) => `\\${char}`)
    .replaceAll('\0', '\\00')
    .replace(/^[ #]| $/g, (char) => `\\${char}`)
}

/**
 * The first common name in a DN (`CN=QA,OU=groups,DC=x` has `QA`); undefined for one that has none, and for what is no DN
 * as RFC 4514 section 3 writes it.
 */
export function commonNameOf(dn: string): string | undefined {
  return parseDn(dn)?.find(({ type }) => /^(?:cn|commonname|2\.5\.4\.3)$/i.test(type))?.value
}

const TYPE = /\s*([a-z][a-z0-9-]*|\d+(?:\.\d+)*)\s*=\s*/iy
const TOKEN = /\\([0-9a-f]{2})|\\([ "#+,;<=>\\])|([^"+,;<>\\\0])/iuy

function parseDn(dn: string): { type: string; value: string }[] | undefined {
  const parts: { type: string; value: string }[] = []
  // One past the end is where the comma after the last part would stand.
  for (let at = 0; at <= dn.length; ) {
    TYPE.lastIndex = at
    const type = TYPE.exec(dn)?.[1]
    if (type === undefined) return undefined
    // The value as BER in hex: nobody's name.
    if (dn[TYPE.lastIndex] === '#') return undefined
    const { value, end } = readValue(dn, TYPE.lastIndex)
    if (value === undefined || (end < dn.length && dn[end] !== ',' && dn[end] !== '+')) return undefined
    parts.push({ type, value })
    at = end + 1
  }
  return parts
}

function readValue(dn: string, start: number): { value: string | undefined; end: number } {
  let text = ''
  let kept = 0
  let at = start
  for (;;) {
    TOKEN.lastIndex = at
    const token = TOKEN.exec(dn)
    if (token === null) break
    const [, hex, escaped, plain] = token
    // In percent escapes, for the bytes of one character come in several escapes.
    text += hex === undefined ? encodeURIComponent(escaped ?? plain ?? '') : `%${hex}`
    // Space at the end counts only when it is escaped.
    if (plain !== ' ') kept = text.length
    at = TOKEN.lastIndex
  }
  return { value: fromPercent(text.slice(0, kept)), end: at }
}

function utf8Of(run: string): string | undefined {
  return fromPercent(run.replaceAll('\\', '%'))
}

function fromPercent(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
