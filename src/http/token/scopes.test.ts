import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { A, as, B, bodyOf, claimsOf, setup } from './token.samples.ts'

describe('scopes', () => {
  const R = (name: string, actions: string[], type = 'repository') => ({ type, name, actions })
  const admin = 'admin:badmin'
  const invalid = (text: string) => `400 Bad request: invalid scope: "${text}"\n`
  const malformed = '400 Bad request: malformed scope request\n'
  test.each([
    ['S1: actions are sorted', admin, 'scope=repository:foo/bar:push,pull', [R('foo/bar', ['pull', 'push'])]],
    [
      'S2: two parameters',
      admin,
      'scope=repository:a:pull&scope=repository:b:push',
      [R('a', ['pull']), R('b', ['push'])],
    ],
    [
      'S3: one parameter with a space',
      admin,
      'scope=repository:a:pull+repository:b:push',
      [R('a', ['pull']), R('b', ['push'])],
    ],
    [
      'S4: the same name twice is not merged',
      admin,
      'scope=repository:a:pull&scope=repository:a:push',
      [R('a', ['pull']), R('a', ['push'])],
    ],
    ['S5: a name with a port', admin, 'scope=repository:host:5000/foo:pull', [R('host:5000/foo', ['pull'])]],
    ['S6: five parts', admin, 'scope=repository:a:b:c:pull', invalid('repository:a:b:c:pull')],
    ['S7: two parts', admin, 'scope=repository:foo', invalid('repository:foo')],
    ['S7: one part', admin, 'scope=foo', invalid('foo')],
    ['S8: no type', admin, 'scope=:foo:pull', malformed],
    ['S8: an upper-case type', admin, 'scope=REPO:foo:pull', malformed],
    ['S9: the lower-case part of a type', admin, 'scope=Repository:foo:pull', [R('foo', ['pull'], 'epository')]],
    ['S9: the first word of a type', admin, 'scope=my-type:foo:pull', [R('foo', ['pull'], 'my')]],
    ['S10: a class is dropped', admin, 'scope=repository(plugin):foo:pull', [R('foo', ['pull'])]],
    ['S11: a space at the end', admin, 'scope=repository:foo:pull%20', malformed],
    ['S11: two spaces', admin, 'scope=repository:a:pull++repository:b:pull', malformed],
    ['S12: empty', admin, 'scope=', []],
    ['S13: an empty first value disables all', admin, 'scope=&scope=repository:foo:pull', []],
    ['S14: an empty later value is malformed', admin, 'scope=repository:foo:pull&scope=', malformed],
    ['S15: no action, of an administrator', admin, 'scope=repository:foo:', [R('foo', [''])]],
    ['S15: no action, of a user', 'test:123', 'scope=repository:foo:', [R('foo', [])]],
    [
      'S16: an action twice, of an administrator',
      admin,
      'scope=repository:foo:pull,pull',
      [R('foo', ['pull', 'pull'])],
    ],
    ['S16: an action twice, of a user', 'test:123', 'scope=repository:foo:pull,pull', [R('foo', ['pull'])]],
    ['S17: no name', admin, 'scope=repository::pull', [R('', ['pull'])]],
    ['S18: a raw semicolon drops the parameter', admin, 'scope=repository:foo;x:pull', []],
    ['S18: an escaped semicolon is of the name', admin, 'scope=repository:foo%3Bx:pull', [R('foo;x', ['pull'])]],
    ['S18: a bad escape drops the parameter', admin, 'scope=repository:foo%zz:pull', []],
    ['S18: a bad escape drops one parameter only', admin, 'x=%&scope=repository:foo:pull', [R('foo', ['pull'])]],
    ['S19: a malformed scope with a wrong password', 'admin:wrong', 'scope=foo', invalid('foo')],
    ['S20: the part that is granted', 'test:123', 'scope=repository:foo:pull,push,delete', [R('foo', ['pull'])]],
    [
      'S21: everything that was asked',
      'test:123',
      'scope=repository:test-x:pull,push,delete',
      [R('test-x', ['delete', 'pull', 'push'])],
    ],
    ['S22: a star takes no slash', 'test:123', 'scope=repository:test-x/y:push', [R('test-x/y', [])]],
    ['S23: no rule', 'open:x', 'scope=repository:foo:pull', [R('foo', [])]],
    ['S26: the catalog', admin, 'scope=registry:catalog:*', [R('catalog', ['*'], 'registry')]],
    [
      'S27: a part of the catalog is none of it',
      'test:123',
      'scope=registry:catalog:*',
      [R('catalog', [], 'registry')],
    ],
    ['UTF-8 in an escape', admin, 'scope=repository:%C3%A9:pull', [R('é', ['pull'])]],
  ] as [string, string, string, string | object[]][])('%s', async (_, credentials, query, expected) => {
    const response = await A.call(`/auth?${query}`, as(credentials))
    const text = await response.text()
    if (typeof expected === 'string') expect(`${response.status} ${text}`).toBe(expected)
    else expect(claimsOf(JSON.parse(text).token).access).toEqual(expected)
  })

  test('S24, S25: a client without credentials gets what its rules say', async () => {
    const ask = async (scope: string) =>
      claimsOf((await bodyOf(await B.call(`/auth?scope=${scope}`))).token).access[0].actions
    expect(await ask('repository:hello-world:pull,push')).toEqual(['pull'])
    expect(await ask('repository:other:pull')).toEqual([])
  })

  test('S28: without a service the audience is empty', async () => {
    expect(claimsOf((await bodyOf(await A.call('/auth', as(admin)))).token).aud).toBe('')
  })

  test('whatever is asked is an answer, and none of them is a 5xx', async () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom('scope=', 'repository', ':', '%', '+', '&', '=', ';', 'pull', 'account=', '\u{1f600}'),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.constantFrom('GET', 'POST'), async (pieces, method) => {
        const query = pieces.join('')
        const { status } = await A.call(`/auth?${query}`, as('open:x', { method }))
        expect([200, 400, 401]).toContain(status)
      }),
      { numRuns: 1000, seed: 20_260_101 },
    )
  })
})

describe('open pulls', () => {
  const opened = setup({ server: { anonymous: 'pull' } })
  const ask = async (scope: string, init?: RequestInit) => {
    const response = await opened.call(`/auth?service=reg&scope=${scope}`, init)
    return response.status === 200 ? claimsOf((await bodyOf(response)).token).access[0].actions : response.status
  }
  test('let a client without credentials pull, and no more', async () => {
    expect(await ask('repository:x:pull,push')).toEqual(['pull'])
    expect(await ask('registry:catalog:*')).toEqual([])
  })
  test('add to what rules grant', async () => {
    expect(await ask('repository:x:pull,push', as('open:x'))).toEqual(['pull'])
    expect(await ask('repository:test-x:pull,push', as('test:123'))).toEqual(['pull', 'push'])
  })
  test('are not for wrong credentials', async () => {
    expect(await ask('repository:x:pull', as('admin:wrong'))).toBe(401)
    expect(await ask('repository:x:pull', as(':guess'))).toBe(401)
    expect(await ask('repository:x:pull&account=admin')).toBe(401)
  })
})
