import { expect, test } from 'bun:test'
import { generateKeyPairSync, sign } from 'node:crypto'
import { UnavailableError } from './authenticator.ts'
import { createPasswordThreads } from './password-threads.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const hashOf = (password: string, cost: number) => Bun.password.hashSync(password, { algorithm: 'bcrypt', cost })

const verify = createPasswordThreads(2)
const CHEAP = hashOf('right', 4)

test.each([
  ['the right password is right', 'right', CHEAP, true],
  ['another is wrong', 'wrong', CHEAP, false],
  ['a hash of another kind is checked as such', 'right', Bun.password.hashSync('right'), true],
  ['a cost out of range makes it the hash of no password', 'right', CHEAP.replace('$04$', '$99$'), false],
  ['a text that is no hash is the hash of no password', 'right', 'right', false],
])('%s', async (_, password, hash, expected) => {
  expect(await verify(bytes(password), hash)).toBe(expected)
})

test('many at once get each its own answer', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => await verify(bytes(index % 3 === 0 ? 'right' : 'wrong'), CHEAP)),
  )
  expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => index % 3 === 0))
})

test('a signature does not wait for checks that are under way', async () => {
  const slow = hashOf('right', 12)
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await Promise.all([verify(bytes('right'), CHEAP), verify(bytes('right'), CHEAP)])
  const ended: string[] = []
  const checks = Array.from({ length: 4 }, async () => {
    await verify(bytes('wrong'), slow)
    ended.push('check')
  })
  await new Promise((resolve) => sign('sha256', bytes('a token'), privateKey, resolve))
  ended.push('signature')
  await Promise.all(checks)
  expect(ended[0]).toBe('signature')
})

test('a thread that dies has found nothing out, and there is another one for the next password', async () => {
  const script = `self.onmessage = ({ data }) => {
    if (data.hash === 'deadly') throw new Error('dead')
    self.postMessage({ call: data.call, right: true })
  }`
  const fragile = createPasswordThreads(1, new URL(`data:text/javascript,${encodeURIComponent(script)}`))
  const attempts = ['deadly', 'deadly', 'other'].map(async (hash) => {
    try {
      return await fragile(bytes('x'), hash)
    } catch (error) {
      return error
    }
  })
  const [first, second] = await Promise.all(attempts)
  expect([first, second].map((error) => error instanceof UnavailableError && error.message)).toEqual([
    'the password could not be checked',
    'the password could not be checked',
  ])
  expect(await fragile(bytes('x'), 'other')).toBe(true)
})
