import { describe, expect, test } from 'bun:test'
import { MetadataError, type RuleRow, type Rules } from '../metadata/metadata.ts'
import { ACTOR, caught, openAccounts } from './accounts.fixture.ts'
import { ChangeError } from './administration.ts'
import { UnavailableError } from './authenticator.ts'
import { createRuleBook } from './rule-book.ts'

const rule = (account: string) => ({ match: { account }, actions: ['pull'] })
const ids = (list: { rules: readonly RuleRow[] }) => list.rules.map(({ match }) => match.account)
const said = (error: unknown) =>
  error instanceof ChangeError
    ? [error.kind, ...error.problems.map(({ path, message }) => `${path}: ${message}`)]
    : error

async function open(...accounts: string[]) {
  const opened = openAccounts()
  for (const account of accounts) await opened.rules.add(rule(account), undefined, ACTOR)
  opened.recorded.length = 0
  return opened
}

describe('the list of rules', () => {
  test('takes a rule at its end, at a place, and past its end', async () => {
    const { rules } = await open('a', 'b')
    expect(ids(await rules.add(rule('c'), 1, ACTOR))).toEqual(['a', 'c', 'b'])
    expect(ids(await rules.add(rule('d'), 0, ACTOR))).toEqual(['d', 'a', 'c', 'b'])
    expect(ids(await rules.add(rule('e'), 99, ACTOR))).toEqual(['d', 'a', 'c', 'b', 'e'])
    expect(ids(await rules.list())).toEqual(['d', 'a', 'c', 'b', 'e'])
  })

  test('moves, changes and removes a rule by its id, and records that', async () => {
    const { rules, recorded } = await open('a', 'b', 'c')
    expect(ids(await rules.move('id-003', 0, ACTOR))).toEqual(['c', 'a', 'b'])
    expect(ids(await rules.move('id-003', 9, ACTOR))).toEqual(['a', 'b', 'c'])
    const changed = await rules.change('id-002', { actions: [], comment: 'no' }, ACTOR)
    expect(changed.rule).toEqual({ id: 'id-002', match: { account: 'b' }, actions: [], comment: 'no' })
    expect(ids(await rules.remove('id-001', ACTOR))).toEqual(['b', 'c'])
    expect(recorded).toEqual([
      'root rule id-003: done: moved to place 1',
      'root rule id-003: done: moved to place 10',
      'root rule id-002: done: changed: {"actions":[],"comment":"no"}',
      'root rule id-001: done: removed',
    ])
    for (const error of [
      await caught(rules.remove('x', ACTOR)),
      await caught(rules.move('x', 0, ACTOR)),
      await caught(rules.change('x', {}, ACTOR)),
    ]) {
      expect(error).toEqual(new ChangeError('not-found', 'there is no rule x'))
    }
  })

  test('is for the ACL the same array until it changes', async () => {
    const { rules } = await open('a')
    const before = await rules.entries()
    expect(before).toEqual([{ match: { account: 'a' }, actions: ['pull'], comment: undefined, where: 'rule id-001' }])
    expect(await rules.entries()).toBe(before)
    await rules.add({ ...rule('b'), comment: 'B' }, undefined, ACTOR)
    expect((await rules.entries()).map(({ comment }) => comment)).toEqual([undefined, 'B'])
  })

  test('is read again when it is to be forgotten, and after a failure', async () => {
    const { rules, metadata } = await open('a')
    expect(ids(await rules.list())).toEqual(['a'])
    const { revision } = await rules.list()
    await metadata.rules.replace(revision, [])
    expect(ids(await rules.list())).toEqual(['a'])
    rules.forget()
    metadata.fail(new MetadataError('failed', 'x'))
    expect(await caught(rules.entries())).toBeInstanceOf(UnavailableError)
    metadata.fail(undefined)
    expect(await rules.entries()).toEqual([])
  })

  test('is replaced as a whole if nobody changed it meanwhile', async () => {
    const { rules } = await open('a', 'b')
    const { revision } = await rules.list()
    const wanted = [{ ...rule('z') }, { ...rule('b'), id: 'id-002' }]
    const next = await rules.replace(revision, wanted, ACTOR)
    expect(next.rules.map(({ id, match }) => [id, match.account])).toEqual([
      ['id-003', 'z'],
      ['id-002', 'b'],
    ])
    const late = await caught(rules.replace(revision, [], ACTOR))
    expect(late).toEqual(new ChangeError('conflict', `the rules have changed: their revision is ${next.revision} now`))
    expect((await rules.replace('any', [], ACTOR)).rules).toEqual([])
  })

  test('takes a change again when another process was faster, and gives up in the end', async () => {
    const { metadata, changes, newId } = await open()
    let faster = 3
    const racing: Rules = {
      list: metadata.rules.list,
      async replace(revision, next) {
        if (faster-- > 0) await metadata.rules.replace(revision, [])
        return await metadata.rules.replace(revision, next)
      },
    }
    const book = createRuleBook({ rules: racing, newId, changes })
    expect(ids(await book.add(rule('a'), undefined, ACTOR))).toEqual(['a'])
    faster = 99
    expect(await caught(book.add(rule('b'), undefined, ACTOR))).toEqual(
      new ChangeError('conflict', 'the rules keep changing; try again'),
    )
  })
})

describe('a rule is refused', () => {
  test.each<[string, { match: RuleRow['match']; actions: string[]; comment?: string }, string]>([
    ['with an expression that is none', { match: { name: '/(/' }, actions: [] }, 'match: invalid pattern "/(/": inva'],
    ['with an address that is none', { match: { ip: '1.2.3.4/40' }, actions: [] }, 'match: invalid IP pattern: 1.2.3'],
    ['with an expression of a label', { match: { labels: { a: '/[/' } }, actions: [] }, 'match: invalid match pattern'],
    ['with a glob that never matches', { match: { name: 'a[' }, actions: [] }, 'match.name: this pattern is malformed'],
    ['with a class without an end', { match: { name: '[a-]' }, actions: [] }, 'match.name: this pattern is malformed'],
    ['with a backslash at its end', { match: { account: 'a\\' }, actions: [] }, 'match.account: this pattern is malf'],
    ['with an action of two words', { match: {}, actions: ['pull, push'] }, 'actions: an action has 1 to 64'],
    ['with a comment that is a book', { match: {}, actions: [], comment: 'x'.repeat(501) }, 'comment: at most 500'],
    [
      'with a condition that nobody reads',
      JSON.parse('{"match":{"team":"infra"},"actions":["*"]}'),
      'match.team: there is no such condition',
    ],
  ])('%s', async (_, wanted, expected) => {
    const { rules } = await open('a')
    const error = said(await caught(rules.add(wanted, 0, ACTOR)))
    expect(error).toEqual(['invalid', expect.stringContaining(expected)])
    const { revision } = await rules.list()
    const inList = said(await caught(rules.replace(revision, [rule('b'), wanted], ACTOR)))
    expect(inList).toEqual(['invalid', expect.stringContaining(`rules.1.${expected}`)])
    expect(ids(await rules.list())).toEqual(['a'])
  })

  test.each([['*'], ['a/[!-~]'], ['[^a-z]?'], ['\\[x\\]'], [']'], ['[\\]a]'], ['/^a+$/'], ['//'], ['']])(
    'but not for the pattern %p',
    async (account) => {
      const { rules } = await open()
      expect(ids(await rules.add(rule(account), 0, ACTOR))).toEqual([account])
    },
  )

  test('with the id of another, or one that no URL takes', async () => {
    const { rules } = await open()
    const twice = [
      { ...rule('a'), id: 'x' },
      { ...rule('b'), id: 'x' },
    ]
    expect(said(await caught(rules.replace('any', twice, ACTOR)))).toEqual([
      'invalid',
      'rules.1.id: two rules have the id x',
    ])
    expect(said(await caught(rules.replace('any', [{ ...rule('a'), id: 'a/b' }], ACTOR)))).toEqual([
      'invalid',
      'rules.0.id: an id has 1 to 64 letters, digits and -',
    ])
  })
})
