import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { openData } from '../../src/app-data.ts'
import { newSecret, secretHash } from '../../src/auth/credential-secret.ts'
import { READER, type Slapd, SUFFIX, startSlapd } from '../../src/auth/ldap.fixture.ts'
import { describeWith } from '../programs.ts'
import { NOW, openPlace, type Sent } from './token-app.ts'

const place = openPlace()
afterAll(place.close)

const LINE = 'GET /auth?service=reg&scope=repository:x:pull,push'
const DENIED = '401 Auth failed.\n'
const RULES = 'acl: [{match: {labels: {groups: VIP}}, actions: [push]}]\n'
const BADMIN = '$2y$05$LO.vzwpWC5LZGqThvEfznu8qhb5SGqvBSWY1J3yZ4AxtMRZ3kN5jC'
const USERS = `users: {admin: {password: "${BADMIN}"}}\n`
const ACCOUNT = '$' + '{account}'
const as = (basic: string): Sent => ({ basic })
const unanswered = (number: number, why: string) =>
  `503 Authentication failed (authn #${number} returned error: ${why})\n`

/** A program that notes what it reads, and then does as the script says. */
function program(script: string): { body: string; read: () => string } {
  const read = place.pathOf('read')
  const command = JSON.stringify(`cat > ${read}; ${script}`)
  return { body: `ext_auth: {command: sh, args: [-c, ${command}]}\n`, read: () => readFileSync(read, 'utf8') }
}

describe('sources of users', () => {
  test('C1: the first source that knows the user decides: a program behind it is not run', async () => {
    const { body, read } = program('exit 0')
    const { ask } = await place.start({ body: USERS + body + RULES })
    expect(await ask(LINE, as('admin:wrong'))).toBe(DENIED)
    expect(read).toThrow('ENOENT')
  })

  test('C2: it is run for a user that the first does not know', async () => {
    const { body, read } = program('exit 0')
    const { ask } = await place.start({ body: USERS + body + RULES })
    expect(await ask(LINE, as('zed:x'))).toBe('tok(zed)')
    expect(read()).toBe('zed x')
  })

  test.each([
    ['C3: 1 is no', 'exit 1', '', DENIED],
    ['C3: 2 is somebody unknown', 'exit 2', '', DENIED],
    ['C3: 3 is no answer', 'exit 3', '', unanswered(1, 'bad return code from command: 3')],
    ['C4: a source is named by its number', 'exit 3', USERS, unanswered(2, 'bad return code from command: 3')],
    // In words of our own: docker_auth says what the JSON decoder of Go found.
    [
      'C6: output that is no JSON is no answer',
      'echo not json',
      '',
      unanswered(1, 'bad output from command: expected nothing or {"labels": {"NAME": ["VALUE"]}}'),
    ],
  ])('%s', async (_, script, users, expected) => {
    const { send } = await place.start({ body: users + program(script).body + RULES })
    const response = await send(LINE, as('u:p'))
    expect(`${response.status} ${await response.text()}`).toBe(expected)
    expect(response.headers.get('retry-after')).toBe(expected === DENIED ? null : '5')
  })

  test('C5: labels that a program writes are labels of rules', async () => {
    const { body } = program(`echo '{"labels":{"groups":["VIP"]}}'`)
    const { access } = await (await place.start({ body: body + RULES })).claims(LINE, as('u:p'))
    expect(access.map(({ actions }) => actions)).toEqual([['push']])
  })

  test('C7: a client without credentials is one space', async () => {
    const { body, read } = program('exit 1')
    expect(await (await place.start({ body: body + RULES })).ask(LINE)).toBe(DENIED)
    expect(read()).toBe(' ')
  })

  test('a source that does not answer locks out nobody whom a later one knows, other than in docker_auth', async () => {
    const file = place.pathOf('users.db')
    const table = new Database(file)
    table.run('CREATE TABLE xorm_user (id INTEGER, username TEXT, password_hash TEXT, labels TEXT)')
    table.run('INSERT INTO xorm_user VALUES (1, ?, ?, NULL)', ['ann', BADMIN])
    table.close()
    const sql = `xorm_auth: {database_type: sqlite3, conn_string: ${file}}\n`
    const { ask } = await place.start({ body: program('exit 3').body + sql + RULES })
    expect(await ask(LINE, as('ann:badmin'))).toBe('tok(ann)')
    expect(await ask(LINE, as('ann:wrong'))).toBe(unanswered(1, 'bad return code from command: 3'))
  })
})

describe('a directory', () => {
  const labels = 'labels: {groups: {attribute: memberOf, parse_cn: true, lower_case: true}}'
  const ldap = (addr: string, filter: string, more = '') =>
    `ldap_auth: {addr: "${addr}", tls: none, base: "${SUFFIX}", filter: "${filter}", ${labels}${more}}\n${USERS}`
  // Nothing listens there: a question would be answered with 503.
  const down = ldap('127.0.0.1:1', `(uid=${ACCOUNT})`) + RULES

  test.each([
    ['nobody', ':', DENIED],
    ['no user', ':x', DENIED],
    ['no password', 'bob:', DENIED],
    ['and with both it is asked', 'bob:x', unanswered(2, 'no LDAP server answers')],
  ])('C8: is not asked about a login without user or password: %s', async (_, basic, expected) => {
    expect(await (await place.start({ body: down })).ask(LINE, as(basic))).toBe(expected)
  })

  describeWith(['slapd', 'openssl'], 'that answers', () => {
    let slapd: Slapd
    beforeAll(async () => {
      slapd = await startSlapd()
      await slapd.put({ uid: 'odd', password: '123', mail: 'a*(b)\\' })
      await slapd.put({ uid: 'carol', password: '123' })
      await slapd.putGroup('QA', ['carol'])
    })
    afterAll(async () => await slapd.close())

    const start = async (filter: string) => {
      const reader = `, bind_dn: "${READER}", bind_password_file: ${slapd.passwordFile}`
      const rules = RULES.replace('VIP', 'qa')
      return await place.start({ body: ldap(`127.0.0.1:${slapd.ldap}`, filter, reader) + rules })
    }

    test('C9: finds an account that is full of syntax, and no other by its stars', async () => {
      const { ask } = await start(`(mail=${ACCOUNT})`)
      expect(await ask(LINE, as('a*(b)\\:123'))).toBe('tok(a*(b)\\)')
      expect(await ask(LINE, as('a*:123'))).toBe(DENIED)
    })

    test('C10: gives labels for rules from memberOf, by common name in small letters', async () => {
      const { access } = await (await start(`(uid=${ACCOUNT})`)).claims(LINE, as('carol:123'))
      expect(access.map(({ actions }) => actions)).toEqual([['push']])
    })
  })
})

describe('people who sign in with a browser', async () => {
  const secret = newSecret('personal')
  const data = place.pathOf('data')
  const owned = await openData({ directory: data, metadata: data })
  await owned.metadata.users.put({
    ...{ name: 'ann', kind: 'user', source: 'github', passwordHash: undefined, admin: false, disabled: false },
    ...{ labels: { groups: ['VIP'] }, grants: undefined, description: '', createdAt: 0, updatedAt: 0 },
  })
  const token = { kind: 'personal', source: 'github', account: 'ann', limits: undefined, stamp: undefined } as const
  const unused = { createdAt: 0, lastUsedAt: undefined, lastUsedFrom: undefined }
  const ended = newSecret('personal')
  await owned.metadata.tokens.add({
    ...token,
    ...unused,
    id: '1',
    name: 'a',
    hash: secretHash(secret),
    expiresAt: undefined,
  })
  await owned.metadata.tokens.add({
    ...token,
    ...unused,
    id: '2',
    name: 'b',
    hash: secretHash(ended),
    expiresAt: NOW - 1,
  })
  await owned.close()
  // A directory that is down stands behind: an answer other than 503 means that it was not asked.
  const directory = `ldap_auth: {addr: "127.0.0.1:1", tls: none, base: "dc=x", filter: "(uid=${ACCOUNT})"}\n`
  const body = `github_auth: {client_id: i, client_secret: s, organization: o}\n${directory}${RULES}`

  test.each([
    ['somebody unknown is left to the next source', 'bob:x', unanswered(2, 'no LDAP server answers')],
    ['a wrong password is the end', 'ann:x', DENIED],
    ['the password that sign-in gave is right', `ann:${secret}`, 'tok(ann)'],
    // On purpose: docker_auth asks the provider once more, and says 500 when that fails.
    ['one whose time is over is wrong', `ann:${ended}`, DENIED],
  ])('C11: %s', async (_, basic, expected) => {
    expect(await (await place.start({ body, data })).ask(LINE, as(basic))).toBe(expected)
  })
})
