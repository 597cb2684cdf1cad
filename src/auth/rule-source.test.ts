import { describe, expect, test } from 'bun:test'
import type { AclRequest } from './acl.ts'
import { UnavailableError } from './authenticator.ts'
import { createRuleSource } from './rule-source.ts'

const request: AclRequest = {
  ...{ account: 'test', type: 'repository', name: 'a/b', service: 's' },
  ...{ ip: Uint8Array.of(10, 0, 0, 1), labels: { group: ['qa'] }, actions: ['pull', 'push'] },
}
const ALL = { match: {}, actions: ['*'] }
const PULL = { match: {}, actions: ['pull'] }

/** A source whose list and time are in the test's hand; an Error in place of the list is an outage. */
function sourceOf(first: readonly unknown[] | Error, cacheTtlMs?: number) {
  const warnings: string[] = []
  const state = { list: first, time: 0, loads: 0 }
  let gate: Promise<void> | undefined
  const source = createRuleSource({
    ...{ name: 'acl_xorm', cacheTtlMs, now: () => state.time, warn: (message) => void warnings.push(message) },
    async load() {
      state.loads++
      await gate
      if (state.list instanceof Error) throw state.list
      return state.list
    },
  })
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    return () => {
      gate = undefined
      resolve()
    }
  }
  const actions = async () => (await source.authorize(request, 'first-match'))?.actions
  return { source, state, warnings, actions, hold }
}

async function failure(answer: Promise<unknown>): Promise<unknown> {
  return await answer.then(
    () => 'no failure',
    (error: unknown) => error,
  )
}

describe('an entry', () => {
  test.each<[sentence: string, entry: unknown, actions: readonly string[] | undefined]>([
    [
      'may have every condition',
      {
        match: {
          account: 'test',
          type: 'repository',
          name: 'a/*',
          service: 's',
          ip: '10.0.0.0/8',
          labels: { group: 'q?' },
        },
        actions: ['*'],
        comment: 'c',
      },
      ['pull', 'push'],
    ],
    ['may have one that does not fit', { match: { ip: '11.0.0.0/8' }, actions: ['*'] }, undefined],
    ['may have a label that does not fit', { match: { labels: { group: 'dev' } }, actions: ['*'] }, undefined],
    ['may have none', { match: {}, actions: ['*'] }, ['pull', 'push']],
    [
      'may have conditions that are null',
      { match: { account: null, labels: null }, actions: ['*'], comment: null },
      ['pull', 'push'],
    ],
    ['may be written as Go writes it', { Match: { account: 'test' }, Actions: ['pull'], Comment: null }, ['pull']],
    ['may have conditions in capitals', { match: { Account: 'nobody' }, actions: ['*'] }, undefined],
    ['may refuse', { match: {}, actions: [] }, []],
    ['may have members of its store', { _id: 1, seq: 2, match: {}, actions: ['pull'] }, ['pull']],
    ['may have an empty condition, which is not a missing one', { match: { account: '' }, actions: ['*'] }, undefined],
  ])('%s', async (_, entry, expected) => {
    const { actions, warnings } = sourceOf([entry])
    expect<unknown>(await actions()).toEqual(expected)
    expect(warnings).toEqual([])
  })

  test.each<[sentence: string, entry: unknown, problem: string]>([
    ['that is null', null, 'is no document'],
    ['that is a text', '{}', 'is no document'],
    ['that is a list', [], 'is no document'],
    ['without match', { actions: ['*'] }, 'has no match'],
    ['whose match is null', { match: null, actions: ['*'] }, 'has no match'],
    ['whose match is a text', { match: '', actions: ['*'] }, 'has no match'],
    ['whose match is there twice', { match: { account: 'a' }, Match: {}, actions: ['*'] }, 'is no document'],
    ['without actions', { match: {} }, 'has no list of actions'],
    ['whose actions are a text', { match: {}, actions: '*' }, 'has no list of actions'],
    ['with an action that is a number', { match: {}, actions: ['pull', 1] }, 'has an action that is no text'],
    [
      'with another condition',
      { match: { team: 'infra' }, actions: ['*'] },
      'match.team is no condition; without it the rule would match more than was meant',
    ],
    [
      'with another condition that is null',
      { match: { team: null }, actions: ['*'] },
      'match.team is no condition; without it the rule would match more than was meant',
    ],
    ['with a condition twice', { match: { account: 'a', Account: 'b' }, actions: ['*'] }, 'has no match'],
    ['with a condition that is a number', { match: { account: 1 }, actions: ['*'] }, 'match.account is no text'],
    ['with a condition that is a list', { match: { ip: ['10.0.0.1'] }, actions: ['*'] }, 'match.ip is no text'],
    ['with labels that are a list', { match: { labels: ['a'] }, actions: ['*'] }, 'match.labels is no map'],
    ['with a label that is a list', { match: { labels: { a: ['b'] } }, actions: ['*'] }, 'match.labels.a is no text'],
    ['with a comment that is a number', { match: {}, actions: ['*'], comment: 1 }, 'comment is no text'],
    [
      'with an address that is none',
      { match: { ip: '10.0.0.*' }, actions: ['*'] },
      'invalid ACL: entry 1, invalid match conditions: invalid IP pattern: 10.0.0.* is neither an address nor a CIDR block',
    ],
    [
      'with an expression that is none',
      { match: { name: '/foo?*/' }, actions: ['*'] },
      'invalid ACL: entry 1, invalid match conditions: invalid pattern "/foo?*/": invalid regex pattern: error parsing regexp: invalid nested repetition operator: `?*`',
    ],
  ])('%s refuses the whole list', async (_, entry, problem) => {
    const { source, state, warnings, actions } = sourceOf([PULL], 1_000)
    expect(await actions()).toEqual(['pull'])
    state.list = [ALL, entry]
    expect(await source.refresh()).toBe(false)
    expect(await actions()).toEqual(['pull'])
    expect(warnings).toEqual([`the new rules are refused: acl_xorm entry 1: ${problem}; the ones from before hold`])
  })

  test('with a malformed glob is taken, for it never matches in the original either, with a warning', async () => {
    const { state, source, warnings, actions } = sourceOf([{ match: { name: '[a' }, actions: [] }, PULL])
    expect(await actions()).toEqual(['pull'])
    const warning = 'acl_xorm entry 0: "[a" is a malformed pattern, so the rule never matches'
    expect(warnings).toEqual([warning])
    await source.refresh()
    expect(warnings).toEqual([warning])
    state.list = [PULL]
    await source.refresh()
    state.list = [{ match: { labels: { a: 'b\\' } }, actions: [] }]
    await source.refresh()
    expect(warnings.slice(1)).toEqual(['acl_xorm entry 0: "b\\\\" is a malformed pattern, so the rule never matches'])
  })
})

describe('a list', () => {
  test('decides by its first rule, or by all of them', async () => {
    const { source } = sourceOf([PULL, ALL])
    expect(await source.authorize(request, 'first-match')).toEqual({ actions: ['pull'], rule: 'acl_xorm entry 0' })
    expect(await source.authorize(request, 'union')).toEqual({
      actions: ['pull', 'push'],
      rule: 'acl_xorm entry 0 + acl_xorm entry 1',
    })
    const traces = await source.explain?.(request, 'first-match')
    expect(traces).toEqual([{ rule: 'acl_xorm entry 0', comment: undefined, lacks: [], actions: ['pull'] }])
  })

  test('that is empty leaves the decision to others', async () => {
    expect(await sourceOf([]).source.authorize(request, 'first-match')).toBeUndefined()
  })

  test('past ten thousand rules is refused', async () => {
    const { source, warnings, state } = sourceOf(Array<unknown>(10_001).fill(ALL))
    expect(await source.refresh()).toBe(false)
    expect(warnings).toEqual([
      'the new rules are refused: there are more than 10000 rules; there are none, so every question is refused',
    ])
    state.list = Array<unknown>(10_000).fill(ALL)
    expect(await source.refresh()).toBe(true)
  })

  test.each([
    ['each second', 1_000, 1_000],
    ['each minute, unless told', undefined, 60_000],
    ['each minute for 0, too', 0, 60_000],
  ])('is loaded again %s', async (_, ttl, expected) => {
    const { state, actions } = sourceOf([PULL], ttl)
    expect(await actions()).toEqual(['pull'])
    state.list = [ALL]
    state.time = expected - 1
    expect(await actions()).toEqual(['pull'])
    expect(state.loads).toBe(1)
    state.time = expected
    expect(await actions()).toEqual(['pull', 'push'])
    expect(state.loads).toBe(2)
  })

  test('is loaded once for questions that come together', async () => {
    const { state, actions } = sourceOf([PULL], 1_000)
    await Promise.all([actions(), actions(), actions()])
    expect(state.loads).toBe(1)
    state.time = 1_000
    await Promise.all([actions(), actions(), actions()])
    expect(state.loads).toBe(2)
  })

  test('that is known needs no promise', async () => {
    const { source } = sourceOf([PULL])
    await source.refresh()
    expect(source.authorize(request, 'first-match')).toEqual({ actions: ['pull'], rule: 'acl_xorm entry 0' })
  })
})

describe('in an outage', () => {
  const outage = new Error('connection refused')

  test('nothing is decided before a first list was loaded, and everything after', async () => {
    const { state, warnings, actions, source } = sourceOf(outage)
    for (let i = 0; i < 3; i++) expect(await failure(actions())).toBeInstanceOf(UnavailableError)
    expect(await failure(source.explain?.(request, 'union') ?? Promise.resolve())).toBeInstanceOf(UnavailableError)
    expect(warnings).toEqual([
      'the rules of acl_xorm cannot be read: connection refused; there are none, so every question is refused',
    ])
    state.list = [PULL]
    expect(await actions()).toEqual(['pull'])
  })

  test('the list from before holds, with one warning for each outage', async () => {
    const { state, warnings, source, actions } = sourceOf([PULL], 1_000)
    await actions()
    for (let n = 1; n <= 2; n++) {
      for (const text of ['refused', 'timed out', 'refused']) {
        state.list = new Error(text)
        expect(await source.refresh()).toBe(false)
        expect(await actions()).toEqual(['pull'])
      }
      expect(warnings.length).toBe(n)
      state.list = [PULL]
      expect(await source.refresh()).toBe(true)
    }
    expect(warnings[0]).toBe('the rules of acl_xorm cannot be read: refused; the ones from before hold')
  })

  test('only the first question waits for the source; it is asked again every ten seconds', async () => {
    const { state, actions, hold, source } = sourceOf([PULL], 60_000)
    await actions()
    state.list = outage
    state.time = 60_000
    expect(await actions()).toEqual(['pull'])
    expect(state.loads).toBe(2)
    state.time += 9_999
    expect(await actions()).toEqual(['pull'])
    expect(state.loads).toBe(2)
    state.time += 1
    const release = hold()
    // The source hangs, and the answer is there at once.
    expect(source.authorize(request, 'first-match')).toMatchObject({ actions: ['pull'] })
    expect(state.loads).toBe(3)
    state.list = [ALL]
    release()
    await source.refresh()
    expect(await actions()).toEqual(['pull', 'push'])
  })

  test('a list that nobody asked for in a while is too old: the question waits', async () => {
    const { state, actions } = sourceOf([PULL], 1_000)
    await actions()
    state.list = outage
    state.time = 1_000
    expect(await actions()).toEqual(['pull'])
    state.list = [ALL]
    state.time = 3_600_000
    expect(await actions()).toEqual(['pull', 'push'])
  })

  test('a bad list is named once, and a different one again', async () => {
    const { state, source, warnings } = sourceOf([PULL])
    await source.refresh()
    for (const bad of [{ match: {} }, { match: {} }, { actions: [] }]) {
      state.list = [bad]
      await source.refresh()
    }
    expect(warnings.map((warning) => warning.split('; ')[0])).toEqual([
      'the new rules are refused: acl_xorm entry 0: has no list of actions',
      'the new rules are refused: acl_xorm entry 0: has no match',
    ])
  })
})

test('rules are read again in their time after the clock was set back', async () => {
  const { state, actions } = sourceOf([ALL], 1000)
  state.time = 1_000_000
  expect(await actions()).toEqual(['pull', 'push'])
  state.list = [PULL]
  state.time = 0
  expect(await actions()).toEqual(['pull'])
  expect(state.loads).toBe(2)
  state.time = 999
  await actions()
  expect(state.loads).toBe(2)
})
