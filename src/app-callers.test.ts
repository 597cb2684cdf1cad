import { describe, expect, test } from 'bun:test'
import { createWhoIs } from './app-callers.ts'
import { type Outcome, UnavailableError, type Yes } from './auth/authenticator.ts'
import { ThrottledError } from './auth/login.ts'
import type { AuditRow } from './metadata/metadata.ts'

const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`
const ANN: Yes = { kind: 'yes', labels: {}, source: 'static', admin: true }

async function ask(authorization: string | undefined, login: (() => Outcome) | undefined) {
  const rows: AuditRow[] = []
  const whoIs = createWhoIs({
    login: () => login && (async () => login()),
    now: () => 1000,
    record: (row) => rows.push(row),
  })
  const headers = authorization === undefined ? {} : { authorization }
  let answer: unknown
  try {
    answer = await whoIs(new Request('http://x/api/v1/users', { headers }), '::ffff:192.0.2.1')
  } catch (error) {
    answer = error instanceof Error ? error.name : error
  }
  return { answer, rows }
}

const refused = (account: string, detail: string): AuditRow => ({
  at: 1000,
  kind: 'sign-in',
  account,
  source: '',
  address: '192.0.2.1',
  service: '',
  asked: 'api',
  granted: '',
  rules: '',
  outcome: 'refused',
  detail,
})
const WRONG = 'the name or the password is wrong'

function failing(error: Error): () => never {
  return () => {
    throw error
  }
}

describe('a caller of the admin API', () => {
  type Row = [string, string | undefined, (() => Outcome) | undefined, unknown, AuditRow[]]
  const rows: Row[] = [
    [
      'who is known is let in, without a row',
      basic('ann:secret'),
      () => ANN,
      { account: 'ann', source: 'static', admin: true },
      [],
    ],
    [
      'with a token that has limits is known as such',
      basic('ann:secret'),
      () => ({ ...ANN, token: 'id', limits: [] }),
      { account: 'ann', source: 'static', admin: true, token: { limited: true } },
      [],
    ],
    ['without credentials is nobody, without a row', undefined, () => 'no-match', 'anonymous', []],
    [
      'with a wrong password leaves a row',
      basic('ann:guess'),
      () => 'wrong-password',
      'refused',
      [refused('ann', WRONG)],
    ],
    [
      'with a name that nobody has leaves a row',
      basic('eve:guess'),
      () => 'no-match',
      'refused',
      [refused('eve', WRONG)],
    ],
    [
      'with an empty name leaves a row, and is not asked for',
      basic(':guess'),
      () => ANN,
      'refused',
      [refused('', WRONG)],
    ],
    ['leaves a row where nobody can log in', basic('ann:secret'), undefined, 'refused', [refused('ann', WRONG)]],
    [
      'with other credentials leaves a row without them',
      'Bearer secret',
      () => ANN,
      'refused',
      [refused('', 'the credentials are not those of Basic')],
    ],
    [
      'who guessed too often leaves a row',
      basic('ann:guess'),
      failing(new ThrottledError(1000)),
      'ThrottledError',
      [refused('ann', 'too many failed logins; try again later')],
    ],
    [
      'leaves a row when a source does not answer',
      basic('ann:secret'),
      failing(new UnavailableError('authn #1 returned error: timeout')),
      'UnavailableError',
      [refused('ann', 'authn #1 returned error: timeout')],
    ],
    [
      'leaves a row without the words of an error of ours',
      basic('ann:secret'),
      failing(new TypeError('secret')),
      'TypeError',
      [refused('ann', 'internal error')],
    ],
  ]
  test.each(rows)('%s', async (_, authorization, login, answer, recorded) => {
    expect(await ask(authorization, login)).toEqual({ answer, rows: recorded })
  })
})
