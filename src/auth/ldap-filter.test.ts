import { describe, expect, test } from 'bun:test'
import {
  commonNameOf,
  escapeDnValue,
  escapeFilterValue,
  fillDn,
  isAccountName,
  labelsOf,
  parseFilterTemplate,
  valuesOfEntry,
} from './ldap-filter.ts'

const ACCOUNT = '$' + '{account}'
const BY_UID = `(uid=${ACCOUNT})`

describe('a filter with a place for the account', () => {
  test.each([
    ['escapes what is syntax', BY_UID, 'a*(b)\\', '(uid=a\\2a\\28b\\29\\5c)'],
    ['escapes NUL', BY_UID, 'a\0', '(uid=a\\00)'],
    ['keeps an account inside its value', BY_UID, ')(uid=*', '(uid=\\29\\28uid=\\2a)'],
    ['knows no dollar signs', BY_UID, '$&$1', '(uid=$&$1)'],
    ['leaves a place in an account alone', BY_UID, ACCOUNT, `(uid=${ACCOUNT})`],
    ['leaves letters alone', BY_UID, 'jürgen', '(uid=jürgen)'],
    ['fills each place', `(|(uid=${ACCOUNT})(mail=${ACCOUNT}@x))`, 'b', '(|(uid=b)(mail=b@x))'],
    ['may lack the outer parentheses', `uid=${ACCOUNT}`, 'b', '(uid=b)'],
    ['may have none', '(uid=x)', 'b', '(uid=x)'],
    ['reads bytes of UTF-8', `(&(ou=M\\c3\\bcnchen)(uid=${ACCOUNT}))`, 'b', '(&(ou=München)(uid=b))'],
  ])('%s', (_, filter, account, expected) => {
    expect(parseFilterTemplate(filter).fill(account)).toBe(expected)
    if (filter === BY_UID) expect(`(uid=${escapeFilterValue(account)})`).toBe(expected)
  })

  test.each([
    ['names the attribute', BY_UID, ['uid']],
    ['names each once', `(|(uid=${ACCOUNT})(mail=${ACCOUNT})(uid=${ACCOUNT}))`, ['uid', 'mail']],
    ['names one with text around', `(userPrincipalName=${ACCOUNT}@corp.example)`, ['userPrincipalName']],
    ['names one with a matching rule', `(uid:caseExactMatch:=${ACCOUNT})`, ['uid']],
    ['names one that is alike', `(uid~=${ACCOUNT})`, ['uid']],
    ['names none with wildcards', `(uid=${ACCOUNT}*)`, []],
    ['names none without a place', '(objectClass=person)', []],
  ])('%s', (_, filter, expected) => {
    expect(parseFilterTemplate(filter).attributes).toEqual(expected)
  })

  test.each([
    ['the same name is the name', BY_UID, 'bob', ['bob'], true],
    ['another case is another name', BY_UID, 'BOB', ['bob'], false],
    ['space makes another name', BY_UID, 'bob ', ['bob'], false],
    ['one of several is enough', BY_UID, 'bob', ['robert', 'bob'], true],
    ['an attribute that is not shown names nobody', BY_UID, 'bob', [], false],
    ['text around may differ in case', `(uid=${ACCOUNT}@CORP.example)`, 'bob', ['bob@corp.example'], true],
    ['the account in it may not', `(uid=${ACCOUNT}@CORP.example)`, 'Bob', ['bob@corp.example'], false],
    ['text around must be there', `(uid=x-${ACCOUNT})`, 'x', ['x'], false],
    ['text around may be escaped', `(uid=\\28${ACCOUNT}\\29)`, 'bob', ['(bob)'], true],
    ['wildcards are not checked', `(uid=${ACCOUNT}*)`, 'BOB', ['bob'], true],
    ['filters without a place are not checked', '(uid=bob)', 'alice', ['bob'], true],
  ])('%s', (_, filter, account, values, expected) => {
    expect(parseFilterTemplate(filter).isNamed(account, (name) => (name === 'uid' ? values : []))).toBe(expected)
  })
})

describe('a DN', () => {
  test.each([
    ['of a plain name is the name', 'bob', 'bob'],
    ['escapes what is syntax', 'a,b+c"d\\e<f>g;h=i', 'a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i'],
    ['escapes a number sign in front only', '#a#', '\\#a#'],
    ['escapes space at both ends only', '  a  ', '\\  a \\ '],
    ['escapes a lone space once', ' ', '\\ '],
    ['escapes NUL', '\0', '\\00'],
  ])('%s', (_, value, expected) => {
    expect(escapeDnValue(value)).toBe(expected)
    expect(fillDn(`uid=${ACCOUNT},dc=x`, value)).toBe(`uid=${expected},dc=x`)
  })

  test.each([
    ['has its first common name', 'CN=QA,OU=g,DC=x', 'QA'],
    ['has one in the middle', 'ou=a,cn=b,cn=c', 'b'],
    ['has one with a comma', 'CN=Doe\\, John,DC=x', 'Doe, John'],
    ['has one with a comma in hex', 'CN=Doe\\2c John,DC=x', 'Doe, John'],
    ['has one with bytes of UTF-8', 'cn=Lu\\C4\\8Di\\C4\\87', 'Lučić'],
    ['has one with letters', 'cn=Müller😀,dc=x', 'Müller😀'],
    ['has one in a part of several', 'uid=1+cn=b,dc=x', 'b'],
    ['has one by number', '2.5.4.3=b', 'b'],
    ['may have space around', 'cn = b , dc = x', 'b'],
    ['may have escaped space at the end', 'cn=b\\ ,dc=x', 'b '],
    ['may have an empty one', 'cn=,dc=x', ''],
    ['may have none', 'uid=b,dc=x', undefined],
    ['is not a word', 'QA', undefined],
    ['is not nothing', '', undefined],
    ['does not end with a comma', 'cn=a,', undefined],
    ['has no bare syntax', 'cn=a;b', undefined],
    ['has no broken UTF-8', 'cn=\\ff', undefined],
    ['has no name in BER', 'cn=#04024869', undefined],
  ])('%s', (_, dn, expected) => {
    expect(commonNameOf(dn)).toBe(expected)
  })
})

describe('labels', () => {
  const entry = { dn: 'x', memberOf: ['CN=QA,OU=g,DC=x', 'Plain'], 'cn;lang-de': 'Käse', mail: [], photo: Buffer.of(1) }
  const plain = { parseCn: false, lowerCase: false }

  test.each([
    ['are the values', { attribute: 'memberOf', ...plain }, { label: ['CN=QA,OU=g,DC=x', 'Plain'] }],
    [
      'may be common names in small letters',
      { attribute: 'MEMBEROF', parseCn: true, lowerCase: true },
      { label: ['qa', 'plain'] },
    ],
    ['come from attributes with options', { attribute: 'cn', ...plain }, { label: ['Käse'] }],
    ['are absent without values', { attribute: 'mail', ...plain }, {}],
    ['are absent without the attribute', { attribute: 'constructor', ...plain }, {}],
    ['are absent for bytes', { attribute: 'photo', ...plain }, {}],
  ])('%s', (_, source, expected) => {
    expect(labelsOf({ label: source }, valuesOfEntry(entry))).toEqual(expected)
  })
})

test.each([
  ['a word may be an account', 'bob', true],
  ['space may be in one', 'bob 2', true],
  ['nothing is none', '', false],
  ['a NUL is in none', 'bob\0', false],
  ['a line end is in none', 'bob\n', false],
  ['half a character is in none', 'bob\ud800', false],
])('%s', (_, account, expected) => {
  expect(isAccountName(account)).toBe(expected)
})
