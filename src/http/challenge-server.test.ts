import { expect, test } from 'bun:test'
import { withAuthority } from './authority.ts'
import { createChallengeServer } from './challenge-server.ts'

const connection = { peer: () => '192.0.2.1', secure: false, unhurried: () => {} }
const serve = createChallengeServer({
  answerTo: (token) => (token === 'known' ? 'known.print' : undefined),
  places: () => [
    { hosts: ['registry.example', 'r.example'], port: ':5000' },
    { hosts: ['tokens.example'], port: '' },
  ],
})

async function ask(path: string, host: string, method = 'GET') {
  const response = await serve(new Request(`http://x${path}`, { method, headers: { Host: host } }), connection)
  return { status: response.status, location: response.headers.get('location'), text: await response.text() }
}

test.each<[string, string, string, string, { status: number; location?: string; text?: string }]>([
  [
    'a challenge under way',
    '/.well-known/acme-challenge/known',
    'registry.example',
    'GET',
    { status: 200, text: 'known.print' },
  ],
  [
    'one that is not',
    '/.well-known/acme-challenge/other',
    'registry.example',
    'GET',
    { status: 404, text: 'no such challenge\n' },
  ],
  ['a page', '/v2/?a=b', 'r.example:80', 'GET', { status: 308, location: 'https://r.example:5000/v2/?a=b' }],
  [
    'a page of the second certificate',
    '/',
    'Tokens.Example',
    'HEAD',
    { status: 308, location: 'https://tokens.example/' },
  ],
  ["a stranger's name", '/x', 'evil.example', 'GET', { status: 308, location: 'https://registry.example:5000/x' }],
  [
    'a path that looks like a host',
    '//evil.example/',
    'r.example',
    'GET',
    { status: 308, location: 'https://r.example:5000//evil.example/' },
  ],
  [
    'what would send credentials again',
    '/auth',
    'r.example',
    'POST',
    { status: 400, text: 'use https://r.example:5000\n' },
  ],
])('%s', async (_, path, host, method, expected) => {
  expect(await ask(path, host, method)).toEqual({ location: null, text: '', ...expected } as never)
})

test('the authority is handed out at its path, where there is one, and nothing else changes', async () => {
  let pem: string | undefined = 'PEM'
  const fetch = withAuthority(
    () => new Response('registry'),
    () => pem,
  )
  const text = async (path: string, method = 'GET') =>
    await (await fetch(new Request(`http://x${path}`, { method }), connection)).text()
  expect(await text('/berth-ca.pem')).toBe('PEM')
  expect(await text('/berth-ca.pem', 'POST')).toBe('registry')
  expect(await text('/v2/berth-ca.pem')).toBe('registry')
  expect(await text('/v2/?x=/berth-ca.pem')).toBe('registry')
  expect(await text('/v2/')).toBe('registry')
  pem = undefined
  expect(await text('/berth-ca.pem')).toBe('registry')
})
