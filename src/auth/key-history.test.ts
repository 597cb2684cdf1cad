import { expect, test } from 'bun:test'
import { createKeyHistory } from './key-history.ts'
import { loadSigningKey } from './keys.ts'
import { newSigningKey, pemOf } from './own-key.ts'
import { claims, iat, makeKey, NOW, reasonOf } from './token.samples.ts'
import { createSigner } from './token.ts'
import { createTrust } from './trust.ts'
import { createVerify } from './verify.ts'

const [first, second] = [makeKey(), makeKey()]
const LIFE = 900_000

function setup() {
  const clock = { time: NOW }
  const now = () => clock.time
  const history = createKeyHistory({ now })
  history.use(first, LIFE)
  const verify = createVerify({ trust: createTrust({ own: history.all, now }), service: 'reg', issuer: 'Auth', now })
  return { clock, now, history, verify }
}

test('a pair that was replaced is trusted until its last token has ended, a minute of leeway included', async () => {
  const { clock, now, history, verify } = setup()
  const text = await createSigner({ key: first, keyId: 'libtrust', x5c: 'always', now })(claims)
  const forged = await createSigner({ key: first, keyId: 'libtrust', x5c: 'never', now })({ ...claims, exp: iat + 1e6 })
  expect([reasonOf(verify(text)), reasonOf(verify(forged))]).toEqual(['valid', 'valid'])
  history.use(second, LIFE)
  expect(history.all().map(({ ids }) => ids)).toEqual([second.ids, first.ids])
  expect(history.all().map((key) => 'privateKey' in key)).toEqual([true, false])
  clock.time += LIFE + 60_000
  expect([reasonOf(verify(text)), reasonOf(verify(forged))]).toEqual(['valid', 'valid'])
  clock.time++
  expect([verify(text).kind, verify(forged).kind]).toEqual(['invalid_token', 'invalid_token'])
  expect(history.all()).toEqual([second])
})

test('the same pair again changes nothing, and the list stays the same until something does', () => {
  const { clock, history } = setup()
  const before = history.all()
  clock.time += 10 * LIFE
  expect(history.all()).toBe(before)
  history.use(first, LIFE)
  expect(history.all()).toEqual([first])
})

test('a new certificate for the same key leaves tokens with the old one valid', async () => {
  const { now, history, verify } = setup()
  const text = await createSigner({ key: first, keyId: 'libtrust', x5c: 'always', now })(claims)
  const other = makeKey()
  const renewed = { ...first, certificates: other.certificates }
  history.use(renewed, LIFE)
  expect(reasonOf(verify(text))).toBe('valid')
  const fresh = await createSigner({ key: renewed, keyId: 'rfc7638', x5c: 'always', now })({ ...claims, jti: '2' })
  expect(reasonOf(verify(fresh))).toBe('valid')
  expect(history.all()).toHaveLength(2)
})

test('a pair that comes back is in use, and no more on its way out', async () => {
  const { clock, now, history, verify } = setup()
  history.use(second, LIFE)
  history.use(first, LIFE)
  expect(history.all().map(({ ids, until }) => [ids.libtrust, until])).toEqual([
    [first.ids.libtrust, undefined],
    [second.ids.libtrust, NOW + LIFE + 60_000],
  ])
  clock.time += 10 * LIFE
  const seconds = clock.time / 1000
  const sign = createSigner({ key: first, keyId: 'libtrust', x5c: 'never', now })
  expect(reasonOf(verify(await sign({ ...claims, nbf: seconds, exp: seconds + 900 })))).toBe('valid')
})

test('tokens of before a shorter life was configured still count', () => {
  const { clock, history } = setup()
  history.use(first, 1000)
  history.use(second, 1000)
  clock.time += LIFE
  expect(history.all()).toHaveLength(2)
  clock.time += 60_001
  expect(history.all()).toHaveLength(1)
})

test('a pair that was loaded twice from the same files is the same', async () => {
  const { history } = setup()
  const key = await newSigningKey('EdDSA', NOW)
  history.use(key, LIFE)
  const before = history.all().length
  history.use(loadSigningKey(key.certificates.join('\n'), pemOf(key.privateKey)), LIFE)
  expect(history.all()).toHaveLength(before)
})
