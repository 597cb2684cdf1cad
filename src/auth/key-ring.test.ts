import { afterAll, describe, expect, test } from 'bun:test'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { temporaryOf, writeDurably } from '../files/durable.ts'
import { type KeyRing, openKeyRing } from './key-ring.ts'
import { parseCertificates, type SigningAlgorithm, type SigningKey } from './keys.ts'
import { makeOwnKey, OWN_CERTIFICATE_FILE, OWN_KEY_FILE, pemOf } from './own-key.ts'
import { RING_FILE } from './ring-file.ts'
import { claims, NOW, reasonOf } from './token.samples.ts'
import { createSigner } from './token.ts'
import { createTrust } from './trust.ts'
import { createVerify } from './verify.ts'

const root = await mkdtemp(join(tmpdir(), 'berth-ring-'))
afterAll(() => rm(root, { recursive: true }))

const OVERLAP = 1_000_000
const HOUR = 3_600_000
let folders = 0

async function setup(name = `${folders++}`) {
  const directory = join(root, name)
  const clock = { time: NOW }
  const now = () => clock.time
  const ring = await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
  return { directory, clock, now, ring }
}

/** Signed now, to live for 15 minutes. */
async function tokenOf(key: SigningKey, time: number): Promise<string> {
  const iat = time / 1000
  const sign = createSigner({ key, keyId: 'libtrust', x5c: 'auto', now: () => time })
  return await sign({ ...claims, iat, nbf: iat, exp: iat + 900 })
}

function verifierOf(ring: KeyRing, now: () => number) {
  return createVerify({ trust: createTrust({ own: ring.all, now }), service: 'reg', issuer: 'Auth', now })
}

const read = (directory: string, name: string) => readFile(join(directory, name), 'utf8')
const libtrust = (ring: KeyRing) => ring.all().map(({ ids }) => ids.libtrust)

async function faultOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

describe('a ring of keys', () => {
  test('begins with the pair that is there, and writes nothing besides', async () => {
    const directory = join(root, 'first')
    const own = await makeOwnKey(directory, { now: () => NOW })
    const { ring } = await setup('first')
    expect(ring.current().ids).toEqual(own.ids)
    expect(libtrust(ring)).toEqual([own.ids.libtrust])
    await ring.refresh()
    expect((await readdir(directory)).sort()).toEqual([OWN_CERTIFICATE_FILE, OWN_KEY_FILE])
    expect(ring.bundle()).toBe(await read(directory, OWN_CERTIFICATE_FILE))
  })

  test('publishes the next key at once, and signs with it when its time has come', async () => {
    const { ring, clock, directory } = await setup()
    const old = ring.current()
    const { key, from } = await ring.rotate({ algorithm: 'ES256', waitMs: HOUR })
    expect([from, ring.next()?.from]).toEqual([NOW + HOUR, NOW + HOUR])
    expect(libtrust(ring)).toEqual([old.ids.libtrust, key.ids.libtrust])
    expect(parseCertificates(await read(directory, OWN_CERTIFICATE_FILE)).map(({ raw }) => raw)).toEqual(
      [old, key].flatMap(({ certificates }) => certificates.map(({ raw }) => raw)),
    )
    clock.time += HOUR - 1
    await ring.refresh()
    expect(ring.current().ids).toEqual(old.ids)
    clock.time++
    await ring.refresh()
    expect(ring.current().ids).toEqual(key.ids)
    expect(libtrust(ring)).toEqual([key.ids.libtrust, old.ids.libtrust])
    expect(ring.next()).toBeUndefined()
    const [first] = parseCertificates(await read(directory, OWN_CERTIFICATE_FILE))
    expect(first?.raw).toEqual(key.certificates[0]?.raw)
  })

  test('keeps trusting the old key until its last token has ended, not longer, whatever a token says', async () => {
    const { ring, clock, now, directory } = await setup()
    const verify = verifierOf(ring, now)
    const text = await tokenOf(ring.current(), NOW)
    const forged = await createSigner({ key: ring.current(), keyId: 'libtrust', x5c: 'always', now })({
      ...claims,
      exp: NOW / 1000 + 99_999_999,
    })
    expect([reasonOf(verify(text)), reasonOf(verify(forged))]).toEqual(['valid', 'valid'])
    await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
    clock.time += 900_000
    expect(reasonOf(verify(text))).toBe('valid')
    clock.time = NOW + OVERLAP
    expect(reasonOf(verify(forged))).toBe('valid')
    clock.time++
    expect(verify(forged).kind).toBe('invalid_token')
    expect(ring.all()).toHaveLength(2)
    await ring.refresh()
    expect(ring.all()).toHaveLength(1)
    expect(verify(forged).kind).toBe('invalid_token')
    expect(await read(directory, OWN_CERTIFICATE_FILE)).toBe(ring.bundle())
    expect(parseCertificates(ring.bundle())).toHaveLength(1)
  })

  test('made under a clock that was years ahead goes on in its time once that is right', async () => {
    const { ring, clock, now, directory } = await setup()
    clock.time = NOW + 3650 * 24 * HOUR
    const old = ring.current()
    await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
    const { key } = await ring.rotate({ algorithm: 'ES256', waitMs: 24 * HOUR })
    clock.time = NOW
    const again = await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
    await again.refresh()
    expect(again.next()?.from).toBe(NOW + 24 * HOUR)
    expect(again.all().find(({ ids }) => ids.libtrust === old.ids.libtrust)?.until).toBe(NOW + OVERLAP)
    // A registry that trusts it by its certificate takes tokens by the key's id until that is valid.
    const verify = verifierOf(again, now)
    const token = await tokenOf(again.current(), clock.time)
    expect([reasonOf(verify(token)), JSON.parse(atob(token.split('.')[0] ?? '')).x5c]).toEqual(['valid', undefined])
    clock.time += 24 * HOUR
    await again.refresh()
    expect(again.current().ids).toEqual(key.ids)
    expect(libtrust(again)).not.toContain(old.ids.libtrust)
  })

  test('can be told to distrust the old key at once, also after the next start', async () => {
    const { ring, now, directory } = await setup()
    const verify = verifierOf(ring, now)
    const text = await tokenOf(ring.current(), NOW)
    expect(reasonOf(verify(text))).toBe('valid')
    await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
    await ring.distrust()
    expect(verify(text).kind).toBe('invalid_token')
    expect(ring.all()).toHaveLength(1)
    const again = await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
    expect(libtrust(again)).toEqual([ring.current().ids.libtrust])
    expect(parseCertificates(await read(directory, OWN_CERTIFICATE_FILE))).toHaveLength(1)
  })

  test.each(['RS256', 'ES256', 'ES384', 'ES512', 'EdDSA'] satisfies SigningAlgorithm[])(
    'changes to %s, and is the same at the next start',
    async (algorithm) => {
      const { ring, now, directory } = await setup()
      const { key } = await ring.rotate({ algorithm, waitMs: 0 })
      expect(ring.current().algorithm).toBe(algorithm)
      const again = await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
      expect(libtrust(again)).toEqual(libtrust(ring))
      expect(again.current().ids).toEqual(key.ids)
      expect(reasonOf(verifierOf(again, now)(await tokenOf(ring.current(), NOW)))).toBe('valid')
      expect(reasonOf(verifierOf(ring, now)(await tokenOf(again.current(), NOW)))).toBe('valid')
    },
  )

  test('deletes the private key of the old pair, and keeps the others to itself', async () => {
    const { ring, directory } = await setup()
    const old = pemOf(ring.current().privateKey)
    await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
    await ring.rotate({ algorithm: 'ES256', waitMs: HOUR })
    const names = (await readdir(directory)).sort()
    expect(names).toEqual([RING_FILE, OWN_CERTIFICATE_FILE, OWN_KEY_FILE].sort())
    const body = old.split('\n')[1] ?? 'none'
    for (const name of names) expect((await read(directory, name)).includes(body)).toBe(false)
    expect((await stat(join(directory, RING_FILE))).mode & 0o777).toBe(0o600)
    expect((await stat(join(directory, OWN_KEY_FILE))).mode & 0o777).toBe(0o600)
    expect(
      ring
        .all()
        .slice(2)
        .map((key) => 'privateKey' in key),
    ).toEqual([false])
    expect(await read(directory, OWN_CERTIFICATE_FILE)).not.toContain('PRIVATE')
    expect(await read(directory, RING_FILE)).toContain('PRIVATE')
  })

  test('lets a key that waits give way to another', async () => {
    const { ring, now, directory } = await setup()
    const first = await ring.rotate({ algorithm: 'ES256', waitMs: HOUR })
    const second = await ring.rotate({ algorithm: 'EdDSA', waitMs: 0 })
    expect(ring.current().ids).toEqual(second.key.ids)
    expect(libtrust(ring)).not.toContain(first.key.ids.libtrust)
    const again = await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
    expect(libtrust(again)).toEqual(libtrust(ring))
  })

  test('does one rotation after the other, and holds all of their keys', async () => {
    const { ring } = await setup()
    const rotations = Array.from({ length: 4 }, () => ring.rotate({ algorithm: 'ES256', waitMs: 0 }))
    const made = await Promise.all(rotations)
    expect(ring.current().ids).toEqual(made.at(-1)?.key.ids ?? ring.current().ids)
    expect(new Set(libtrust(ring)).size).toBe(5)
  })

  test('gives the same list until it changes, for it is compared at each token', async () => {
    const { ring } = await setup()
    const before = ring.all()
    await ring.refresh()
    expect(ring.all()).toBe(before)
    await ring.rotate({ algorithm: 'ES256', waitMs: HOUR })
    expect(ring.all()).not.toBe(before)
  })

  test.each([
    ['is no JSON', '{'],
    ['is of another version', '{"version":2,"previous":[]}'],
    ['lacks a key', '{"version":1,"next":{"from":1,"certificate":""},"previous":[]}'],
    ['holds no certificate', '{"version":1,"previous":[{"until":1,"certificate":"x"}]}'],
  ])('refuses to start with a file that %s, and leaves it alone', async (_, text) => {
    const { directory, now } = await setup()
    await writeFile(join(directory, RING_FILE), text)
    const fault = await faultOf(openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR }))
    expect(fault).toStartWith(`Berth's own token key ${join(directory, RING_FILE)}: `)
    expect(await read(directory, RING_FILE)).toBe(text)
  })

  test('removes the copies of keys that a crash left behind', async () => {
    const { directory, now } = await setup()
    const temporary = join(directory, temporaryOf(OWN_KEY_FILE))
    await writeFile(temporary, 'a private key')
    await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
    expect(await readdir(directory)).not.toContain(temporaryOf(OWN_KEY_FILE))
  })

  test('leaves no copy of a key when it cannot be written', async () => {
    const { directory, ring } = await setup()
    // A folder in the place of the file: the rename fails.
    await mkdir(join(directory, RING_FILE, 'x'), { recursive: true })
    expect(await faultOf(ring.rotate({ algorithm: 'ES256', waitMs: 0 }))).not.toBe('none')
    expect(await readdir(directory)).not.toContain(temporaryOf(RING_FILE))
    expect(ring.all()).toHaveLength(1)
    await rm(join(directory, RING_FILE), { recursive: true })
    await ring.refresh()
    await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
    expect(ring.all()).toHaveLength(2)
  })
})

/** What happens in a life of the ring, each to be cut off before and after each of its writes. */
const LIVES: [string, (ring: KeyRing, clock: { time: number }) => Promise<unknown>][] = [
  ['a rotation that waits', (ring) => ring.rotate({ algorithm: 'ES256', waitMs: HOUR })],
  ['a rotation at once', (ring) => ring.rotate({ algorithm: 'EdDSA', waitMs: 0 })],
  [
    'a rotation that waits, and its promotion',
    async (ring, clock) => {
      await ring.rotate({ algorithm: 'ES256', waitMs: HOUR })
      clock.time += HOUR
      await ring.refresh()
    },
  ],
  [
    'two rotations, and the end of the first key',
    async (ring, clock) => {
      await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
      clock.time += 1000
      await ring.rotate({ algorithm: 'ES256', waitMs: 0 })
      clock.time += OVERLAP + 1
      await ring.refresh()
    },
  ],
]

describe.each(LIVES)('a crash in %s', (_, live) => {
  test.each(['before', 'after'] as const)('%s any write leaves a ring that goes on', async (when) => {
    let writes = Number.POSITIVE_INFINITY
    for (let point = 1; point <= writes; point++) {
      const directory = join(root, `${folders++}`)
      const clock = { time: NOW }
      const now = () => clock.time
      let count = 0
      let broken = true
      const write: typeof writeDurably = async (...file) => {
        count++
        if (broken && count > point) throw new Error('already dead')
        if (count === point && when === 'before') throw new Error('crash')
        await writeDurably(...file)
        if (count === point) throw new Error('crash')
      }
      const ring = await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR, write })
      const fault = await faultOf(live(ring, clock))
      if (fault === 'none') {
        writes = count
        break
      }
      const signed = await tokenOf(ring.current(), clock.time)
      const acknowledged = ring.next()?.key.ids.libtrust
      const copy = `${directory}-copy`
      await cp(directory, copy, { recursive: true })

      const again = await openKeyRing(copy, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR })
      expect(reasonOf(verifierOf(again, now)(signed))).toBe('valid')
      expect(new Set(libtrust(again)).size).toBe(again.all().length)
      if (acknowledged !== undefined) expect(libtrust(again)).toContain(acknowledged)
      expect(reasonOf(verifierOf(again, now)(await tokenOf(again.current(), clock.time)))).toBe('valid')

      clock.time += HOUR
      // What it signs before and after it has gone on holds with what it publishes.
      const late = await tokenOf(again.current(), clock.time)
      await again.refresh()
      const check = createVerify({
        trust: createTrust({ rootCertBundle: await read(copy, OWN_CERTIFICATE_FILE), now }),
        service: 'reg',
        issuer: 'Auth',
        now,
      })
      expect(reasonOf(check(late))).toBe('valid')
      expect(reasonOf(check(await tokenOf(again.current(), clock.time)))).toBe('valid')
      expect(again.next()).toBeUndefined()
      expect(await read(copy, OWN_CERTIFICATE_FILE)).toBe(again.bundle())
      expect(again.all()[0]?.ids).toEqual(again.current().ids)
      expect(await read(copy, OWN_KEY_FILE)).toBe(pemOf(again.current().privateKey))
      const ringFile = (await readdir(copy)).includes(RING_FILE) ? await read(copy, RING_FILE) : ''
      expect(ringFile).not.toContain('PRIVATE')
      expect(libtrust(await openKeyRing(copy, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR }))).toEqual(
        libtrust(again),
      )

      // Where only the write failed, the ring itself goes on once it can.
      broken = false
      await ring.refresh()
      expect(await read(directory, OWN_CERTIFICATE_FILE)).toBe(ring.bundle())
      expect(await read(directory, OWN_KEY_FILE)).toBe(pemOf(ring.current().privateKey))
      expect(libtrust(await openKeyRing(directory, { now, overlapMs: OVERLAP, longestWaitMs: 24 * HOUR }))).toEqual(
        libtrust(ring),
      )
    }
    expect(writes).toBeGreaterThan(0)
  })
})
