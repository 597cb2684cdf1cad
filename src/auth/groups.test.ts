import { expect, test } from 'bun:test'
import { ACTOR, caught, openAccounts, START } from './accounts.fixture.ts'
import { ChangeError } from './administration.ts'

const said = (error: unknown) => (error instanceof ChangeError ? `${error.kind}: ${error.message}` : error)

async function open() {
  const opened = openAccounts()
  await opened.accounts.create({ name: 'jo' }, ACTOR)
  await opened.groups.create({ name: 'dev', description: 'Developers' }, ACTOR)
  return opened
}

test('a group is made, described, filled, emptied and removed, and each step is recorded', async () => {
  const { groups, recorded } = await open()
  recorded.length = 0
  expect(await groups.find('dev')).toEqual({ name: 'dev', description: 'Developers', createdAt: START })
  expect(await groups.change('dev', { description: 'D' }, ACTOR)).toMatchObject({ description: 'D' })
  await groups.join('dev', 'jo', ACTOR)
  await groups.join('dev', 'jo', ACTOR)
  expect(await groups.members('dev', { limit: 10 })).toEqual(['jo'])
  await groups.leave('dev', 'jo', ACTOR)
  expect(await groups.members('dev', { limit: 10 })).toEqual([])
  await groups.remove('dev', ACTOR)
  expect(await groups.list({ limit: 10 })).toEqual([])
  expect(recorded).toEqual([
    'root group dev: done: description',
    'root group dev: done: jo joins',
    'root group dev: done: jo joins',
    'root group dev: done: jo leaves',
    'root group dev: done: removed',
  ])
})

test('what is not there is said by its name', async () => {
  const { groups } = await open()
  const errors = [
    await caught(groups.create({ name: 'dev' }, ACTOR)),
    await caught(groups.create({ name: 'a b' }, ACTOR)),
    await caught(groups.change('x', { description: '' }, ACTOR)),
    await caught(groups.remove('x', ACTOR)),
    await caught(groups.members('x', { limit: 1 })),
    await caught(groups.join('x', 'jo', ACTOR)),
    await caught(groups.join('dev', 'x', ACTOR)),
    await caught(groups.leave('x', 'jo', ACTOR)),
    await caught(groups.leave('dev', 'jo', ACTOR)),
  ]
  expect(errors.map(said)).toEqual([
    'conflict: there is a group dev already',
    expect.stringContaining('invalid: a name has'),
    'not-found: there is no group x',
    'not-found: there is no group x',
    'not-found: there is no group x',
    'not-found: there is no group x',
    'not-found: there is no user x',
    'not-found: there is no group x',
    'not-found: jo is not a member of dev',
  ])
})
