import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { fixture, openPlace, type Sent } from './token-app.ts'

const place = openPlace()
afterAll(place.close)

/** Everybody may log in: the rules are the case. */
const USERS = 'users: {"": {}, admin: {}, test: {}, bob: {}, user: {}}\n'
const acl = (...entries: string[]) => `${USERS}acl: [${entries.join(', ')}]\n`
const entry = (match: string, actions: string) => `{match: {${match}}, actions: [${actions}]}`
const program = (code: number) => `ext_authz: {command: sh, args: [-c, "cat > /dev/null; exit ${code}"]}\n`

/** The actions of each entry of the token, in the order of the scopes; else `STATUS TEXT`. */
async function granted(body: string, account: string, scopes: string, more: { service?: string; peer?: string } = {}) {
  const server = await place.start({ body })
  const { service = 'reg', peer } = more
  const parameters = scopes.split(' ').map((scope) => `&scope=${scope}`)
  const sent: Sent = { basic: `${account}:x`, ...(peer === undefined ? {} : { peer }) }
  const line = `GET /auth?service=${service}${parameters.join('')}`
  const answer = await server.ask(line, account === '' ? { ...sent, basic: ':' } : sent)
  if (!answer.startsWith('tok(')) return answer
  const { access } = await server.claims(line, account === '' ? { ...sent, basic: ':' } : sent)
  return access.map(({ actions }) => actions)
}

const first = acl(entry('name: foo', 'pull'), entry('account: admin', '"*"'))
const everything = acl(entry('', '"*"'))
const starAndPull = acl(entry('', '"*", pull'))
const reference = fixture('reference.yml')
const away = { peer: '10.0.0.1' }
const unanswered = (code: number) =>
  `503 Authorization failed (authz #2 returned error: bad return code from command: ${code})\n`

describe('rules of a file', () => {
  test.each<[sentence: string, body: string, account: string, scopes: string, expected: unknown]>([
    ['Z1: the first rule that matches decides', first, 'admin', 'repository:foo:push', [[]]],
    ['Z2: the next one where it does not match', first, 'admin', 'repository:bar:push', [['push']]],
    [
      'Z3: an empty grant is a decision, and nobody else is asked',
      acl(entry('account: test', '')) + program(0),
      'test',
      'repository:x:pull',
      [[]],
    ],
    ['Z4: a star grants a star', everything, 'bob', 'repository:x:*', [['*']]],
    ['Z4: and whatever else', everything, 'bob', 'repository:x:pull,push,delete', [['delete', 'pull', 'push']]],
    ['Z4: known or not', everything, 'bob', 'repository:x:frob', [['frob']]],
    ['Z5: a star beside another action is a word', starAndPull, 'bob', 'repository:x:pull,push', [['pull']]],
    ['Z5: that can be asked for', starAndPull, 'bob', 'repository:x:*', [['*']]],
    ['Z6: a star is not its parts', acl(entry('', 'pull, push')), 'bob', 'repository:x:*', [[]]],
    ['Z7: push without pull', acl(entry('', 'push')), 'bob', 'repository:x:pull,push', [['push']]],
    [
      'Z8: a rule behind one for everybody is never reached',
      acl(entry('account: "/.+/"', 'pull'), entry('account: bob', '"*"')),
      'bob',
      'repository:x:push',
      [[]],
    ],
    ['Z9: an empty list grants nothing', acl(), 'admin', 'repository:x:pull registry:catalog:*', [[], []]],
    [
      'Z10: a program is asked where no rule matches: 0 is all',
      acl() + program(0),
      'bob',
      'repository:x:pull,push',
      [['pull', 'push']],
    ],
    ['Z10: 1 is nothing', acl() + program(1), 'bob', 'repository:x:pull,push', [[]]],
    // 503 on purpose, with Retry-After: docker_auth's 500 says the same less well.
    ['Z10: 2 is no answer', acl() + program(2), 'bob', 'repository:x:pull,push', unanswered(2)],
    [
      'Z11: a program is not asked where a rule matches',
      acl(entry('', '')) + program(0),
      'bob',
      'repository:x:pull',
      [[]],
    ],
    [
      'Z12: no answer about one scope is no token',
      acl(entry('name: a', '"*"')) + program(3),
      'bob',
      'repository:a:pull repository:b:pull',
      unanswered(3),
    ],
  ])('%s', async (_, body, account, scopes, expected) => {
    expect<unknown>(await granted(body, account, scopes)).toEqual(expected)
  })

  test.each<[sentence: string, account: string, scope: string, expected: string[]]>([
    ['test pushes to its own', 'test', 'repository:test-app:push', ['push']],
    ['test pulls nothing else', 'test', 'repository:other:pull', []],
    ['john pushes to his own', 'john', 'repository:john/x:push', ['push']],
    ['john pulls the others', 'john', 'repository:other:pull,push', ['pull']],
    ['john lists', 'john', 'registry:catalog:*', ['*']],
    ['nobody pulls one', '', 'repository:hello-world:pull', ['pull']],
    ['nobody pulls no other', '', 'repository:other:pull', []],
  ])('Z13: the reference file: %s', async (_, account, scope, expected) => {
    expect(await granted(reference, account, scope, away)).toEqual([expected])
  })

  test('Z14: the reference file grants the machine itself everything', async () => {
    const here = { peer: '127.0.0.1' }
    expect(await granted(reference, '', 'repository:other:pull,push', here)).toEqual([['pull', 'push']])
    expect(await granted(reference, 'test', 'registry:catalog:*', here)).toEqual([['*']])
    const mapped = { peer: '::ffff:127.0.0.1' }
    expect(await granted(reference, 'test', 'repository:other:delete', mapped)).toEqual([['delete']])
  })
})

describe('Z15: the example of Casbin', () => {
  const files = join(import.meta.dir, '../../src/auth/fixtures')
  const casbin = `casbin_authz: {model_path: ${files}/casbin-model.conf, policy_path: ${files}/casbin-policy.csv}\n`
  const people = {
    'alice {a: [b]}': 'alice',
    'alice {a: [b, c]}': 'alice',
    'alice {a: [c]}': 'alice',
    'bob {a: [b, c]}': 'bob',
    'admin {}': 'admin',
  }
  const words = 'write,read,delete'

  test.each<[person: keyof typeof people, object: string, address: string, expected: string[]]>([
    ['alice {a: [b]}', 'book:book1', '1.2.3.4', ['read', 'write']],
    ['alice {a: [b]}', 'book:book1', '1.2.3.3', []],
    ['alice {a: [b, c]}', 'book:book1', '1.2.3.4', ['read', 'write']],
    ['alice {a: [c]}', 'book:book1', '1.2.3.4', []],
    ['bob {a: [b, c]}', 'book:book2', '192.168.1.123', ['read']],
    ['bob {a: [b, c]}', 'book:book2', '192.168.0.123', []],
    ['admin {}', 'pen:any', '1.2.3.3', ['delete', 'read', 'write']],
  ])('%s asks for %s from %s', async (person, object, peer, expected) => {
    const labels = person.slice(person.indexOf('{'))
    const body = `users: {${people[person]}: {labels: ${labels}}}\n${casbin}`
    for (const rules of [body, `${body}acl: []\n`]) {
      const asked = { service: 'bookstore1', peer }
      expect(await granted(rules, people[person], `${object}:${words}`, asked)).toEqual([expected])
    }
  })
})

describe('what docker_auth finds out too late', () => {
  test.each([
    ['Z16: a rule without actions', '{match: {}}', 'is missing'],
    ['Z16: a rule without match', '{actions: []}', 'has no match'],
    [
      'M47: a condition that is none, which would widen the rule to everybody',
      '{match: {team: infra}, actions: []}',
      'is no condition; without it the rule would match more than was meant',
    ],
  ])('%s is refused', (_, rule, message) => {
    const { config, problems } = place.load({ body: acl(rule) })
    expect(config).toBeUndefined()
    expect(problems.map((problem) => problem.message)).toEqual([message])
  })
})
