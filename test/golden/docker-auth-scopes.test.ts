import { afterAll, expect, test } from 'bun:test'
import { A, B, openPlace, type Sent } from './token-app.ts'

const place = openPlace()
afterAll(place.close)

const admin: Sent = { basic: 'admin:badmin' }
const tester: Sent = { basic: 'test:123' }
const open: Sent = { basic: 'open:x' }
const R = (name: string, actions: string[], type = 'repository') => ({ type, name, actions })
const invalid = (text: string) => `400 Bad request: invalid scope: "${text}"\n`
const MALFORMED = '400 Bad request: malformed scope request\n'
const nothing = (name: string) => R(name, [])
const all = ['delete', 'pull', 'push']

type Expected = string | object[]
test.each<[sentence: string, body: string, sent: Sent, query: string, Expected]>([
  ['S1: actions are sorted', A, admin, 'repository:foo/bar:push,pull', [R('foo/bar', ['pull', 'push'])]],
  [
    'S2: two parameters are two entries',
    A,
    admin,
    'repository:a:pull&scope=repository:b:push',
    [R('a', ['pull']), R('b', ['push'])],
  ],
  ['S3: a space parts two', A, admin, 'repository:a:pull+repository:b:push', [R('a', ['pull']), R('b', ['push'])]],
  [
    'S4: the same name twice stays twice',
    A,
    admin,
    'repository:a:pull&scope=repository:a:push',
    [R('a', ['pull']), R('a', ['push'])],
  ],
  ['S5: a name may have a port', A, admin, 'repository:host:5000/foo:pull', [R('host:5000/foo', ['pull'])]],
  ['S6: five parts', A, admin, 'repository:a:b:c:pull', invalid('repository:a:b:c:pull')],
  ['S7: two parts', A, admin, 'repository:foo', invalid('repository:foo')],
  ['S7: one part', A, admin, 'foo', invalid('foo')],
  ['S8: no type', A, admin, ':foo:pull', MALFORMED],
  ['S8: a type in capitals', A, admin, 'REPO:foo:pull', MALFORMED],
  ['S9: a type is its first small letters', A, admin, 'Repository:foo:pull', [R('foo', ['pull'], 'epository')]],
  ['S9: up to the next other character', A, admin, 'my-type:foo:pull', [R('foo', ['pull'], 'my')]],
  ['S10: a class is dropped', A, admin, 'repository(plugin):foo:pull', [R('foo', ['pull'])]],
  ['S11: a space at the end', A, admin, 'repository:foo:pull%20', MALFORMED],
  ['S11: two spaces', A, admin, 'repository:a:pull++repository:b:pull', MALFORMED],
  ['S12: an empty scope is none', A, admin, '', []],
  ['S13: nor is what follows an empty one', A, admin, '&scope=repository:foo:pull', []],
  ['S14: an empty scope behind another', A, admin, 'repository:foo:pull&scope=', MALFORMED],
  ['S15: no action, where everything is granted', A, admin, 'repository:foo:', [R('foo', [''])]],
  ['S15: no action, where a part is', A, tester, 'repository:foo:', [nothing('foo')]],
  [
    'S16: an action twice, where everything is granted',
    A,
    admin,
    'repository:foo:pull,pull',
    [R('foo', ['pull', 'pull'])],
  ],
  ['S16: an action twice, where a part is', A, tester, 'repository:foo:pull,pull', [R('foo', ['pull'])]],
  ['S17: no name', A, admin, 'repository::pull', [R('', ['pull'])]],
  ['S18: a raw semicolon loses the parameter', A, admin, 'repository:foo;x:pull', []],
  ['S18: an escaped one does not', A, admin, 'repository:foo%3Bx:pull', [R('foo;x', ['pull'])]],
  ['S18: a bad escape loses it too', A, admin, 'repository:foo%zz:pull', []],
  ['S19: a malformed scope comes before a wrong password', A, { basic: 'admin:wrong' }, 'foo', invalid('foo')],
  ['S20: a part of what was asked', A, tester, 'repository:foo:pull,push,delete', [R('foo', ['pull'])]],
  ['S21: all of what was asked', A, tester, 'repository:test-x:pull,push,delete', [R('test-x', all)]],
  ['S22: a star ends at a slash', A, tester, 'repository:test-x/y:push', [nothing('test-x/y')]],
  ['S23: without a rule nothing', A, open, 'repository:foo:pull', [nothing('foo')]],
  [
    'S24: a client without credentials has its rule',
    B,
    {},
    'repository:hello-world:pull,push',
    [R('hello-world', ['pull'])],
  ],
  ['S25: and no more', B, {}, 'repository:other:pull', [nothing('other')]],
  ['S26: the catalog', A, admin, 'registry:catalog:*', [R('catalog', ['*'], 'registry')]],
  ['S27: pull is no part of a star', A, tester, 'registry:catalog:*', [R('catalog', [], 'registry')]],
])('%s', async (_, body, sent, query, expected) => {
  const server = await place.start({ body })
  const line = `GET /auth?service=reg&scope=${query}`
  if (typeof expected === 'string') expect(await server.ask(line, sent)).toBe(expected)
  else expect<unknown>((await server.claims(line, sent)).access).toEqual(expected)
})

test('S28: without a service the audience is empty', async () => {
  const { aud, access } = await (await place.start()).claims('GET /auth?scope=repository:foo:pull', admin)
  expect([aud, access]).toEqual(['', [R('foo', ['pull'])]])
})
