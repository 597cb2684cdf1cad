import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAuthority } from './authority.ts'
import { openOwnCertificate } from './own-certificate.ts'
import { endOf, namesOf, parsePair } from './pair-file.ts'

const DAY = 86_400_000
const START = Date.UTC(2030, 0, 1)

let folder: string
let file: string
let now: number
let addresses: string[]
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'berth-own-')), 'tls')
  file = join(folder, 'server.pem')
  now = START
  addresses = ['192.0.2.7']
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

const machine = { hostname: () => 'box', hosts: () => '', addresses: () => addresses }
const open = (names: string[] = []) => openOwnCertificate({ file, names, machine, now: () => now })
const leafNow = () => parsePair(readFileSync(file, 'utf8')).leaf
const signal = new AbortController().signal
const quietly = { force: false, signal }
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no failure',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )

test('the first start makes an authority and a certificate for every name, which nobody else may read the keys of', async () => {
  const own = await open(['registry.example', '2001:DB8::1'])
  expect(own.isReady()).toBe(false)
  expect(await own.tend(quietly)).toBe(true)
  expect(own.isReady()).toBe(true)
  const leaf = leafNow()
  expect(namesOf(leaf).sort()).toEqual(
    ['127.0.0.1', '192.0.2.7', '2001:db8::1', '::1', 'box', 'localhost', 'registry.example'].sort(),
  )
  expect(leaf.verify(own.authority.publicKey)).toBe(true)
  expect([leaf.validFromDate, leaf.validToDate].map((date) => (date.getTime() - START) / DAY)).toEqual([-1, 90])
  expect((endOf(own.authority) - START) / DAY).toBe(3650)
  const mode = (name: string) => statSync(join(folder, name)).mode & 0o777
  expect([statSync(folder).mode & 0o777, mode('ca.key'), mode('ca.crt'), mode('server.pem')]).toEqual([
    0o700, 0o600, 0o644, 0o600,
  ])
})

describe('what is there', () => {
  let first: string
  beforeEach(async () => {
    await (await open()).tend(quietly)
    first = leafNow().fingerprint256
  })

  test('is kept by the next start', async () => {
    const own = await open()
    expect(own.isReady()).toBe(true)
    expect(await own.tend(quietly)).toBe(false)
    expect(leafNow().fingerprint256).toBe(first)
  })

  test.each<[string, () => void, boolean]>([
    ['is kept while more than a third of its life is left', () => (now += 59 * DAY), false],
    ['is renewed after that', () => (now += 60 * DAY), true],
    ['is renewed after its end', () => (now += 100 * DAY), true],
    ['is kept where the clock goes back before the authority, which nothing helps', () => (now -= 9 * DAY), false],
    ['is renewed for a new address', () => (addresses = ['192.0.2.7', '2001:db8::7']), true],
    ['is kept when an address goes away', () => (addresses = []), false],
    ['is kept for an address without use', () => (addresses = ['192.0.2.7', 'fe80::7']), false],
  ])('%s', async (_, change, expected) => {
    const own = await open()
    change()
    expect(await own.tend(quietly)).toBe(expected)
    expect(leafNow().fingerprint256 !== first).toBe(expected)
    for (const address of addresses.filter((one) => !one.startsWith('fe80'))) {
      expect(namesOf(leafNow())).toContain(address)
    }
  })

  test('is renewed where the clock was ahead when it was made', async () => {
    const own = await open()
    now += 70 * DAY
    expect(await own.tend(quietly)).toBe(true)
    now -= 30 * DAY
    expect(await own.tend(quietly)).toBe(true)
    expect(leafNow().validFromDate.getTime()).toBe(now - DAY)
    expect(await own.tend(quietly)).toBe(false)
  })

  test('is renewed by force, with a key of its own', async () => {
    const before = leafNow().publicKey
    expect(await (await open()).tend({ force: true, signal })).toBe(true)
    expect(leafNow().publicKey.equals(before)).toBe(false)
  })

  test('is made anew where it is damaged, for nothing is lost with it', async () => {
    for (const text of ['', 'no PEM', readFileSync(file, 'utf8').slice(0, 400)]) {
      writeFileSync(file, text)
      const own = await open()
      expect(own.isReady()).toBe(false)
      expect(await own.tend(quietly)).toBe(true)
      expect(leafNow().verify(own.authority.publicKey)).toBe(true)
    }
  })

  test('of another authority is replaced', async () => {
    await makeAuthority(folder, now)
    const own = await open()
    expect(await own.tend(quietly)).toBe(true)
    expect(leafNow().verify(own.authority.publicKey)).toBe(true)
  })
})

describe('an authority', () => {
  test('whose certificate is gone gets the same name and key again: clients that trust it go on', async () => {
    const own = await open()
    await own.tend(quietly)
    rmSync(join(folder, 'ca.crt'))
    const again = await open()
    expect(again.authority.subject).toBe(own.authority.subject)
    expect(again.authority.publicKey.equals(own.authority.publicKey)).toBe(true)
    expect(await again.tend(quietly)).toBe(false)
  })

  test('is never replaced when it is damaged', async () => {
    await open()
    rmSync(join(folder, 'ca.key'))
    expect(await failure(open())).toBe(
      `${folder}/ca.key is gone, but ${folder}/ca.crt is there: restore it, or remove ${folder}/ca.crt to begin anew`,
    )
    writeFileSync(join(folder, 'ca.key'), 'damaged')
    expect(await failure(open())).toStartWith(`${folder}/ca.key is damaged (`)
    expect(readFileSync(join(folder, 'ca.key'), 'utf8')).toBe('damaged')
    rmSync(join(folder, 'ca.key'))
    const crt = readFileSync(join(folder, 'ca.crt'))
    rmSync(join(folder, 'ca.crt'))
    await open()
    writeFileSync(join(folder, 'ca.crt'), crt)
    expect(await failure(open())).toBe(
      `${folder}/ca.crt does not belong to ca.key beside it, or Berth did not make it: restore the right one, or remove it to have one made for the key`,
    )
  })

  test('is not made by a clock that cannot be right', async () => {
    now = Date.UTC(1970, 0, 2)
    expect(await failure(open())).toStartWith('the clock of this machine says 1970: ')
    now = START
    expect(await (await open()).tend(quietly)).toBe(true)
  })

  test('never signs beyond its own end, of which it warns a year before', async () => {
    const own = await open()
    expect(own.warning()).toBeUndefined()
    now += 3600 * DAY
    expect(own.warning()).toContain(
      "Berth's own certificate authority ends on 2039-12-30; berth cert renew --authority",
    )
    expect(await own.tend(quietly)).toBe(true)
    expect(endOf(leafNow())).toBe(endOf(own.authority))
    now += 60 * DAY
    expect(await failure(own.tend(quietly))).toBe(
      `the authority ${folder}/ca.crt has ended; berth cert renew --authority makes a new one`,
    )
  })
})
