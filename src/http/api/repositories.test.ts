import { expect, test } from 'bun:test'
import type { Repositories } from '../../registry/repositories.ts'
import { openApi } from './api.fixture.ts'

const OPERATOR = { caller: { account: '@operator', source: 'socket', admin: true } }

/** Over repositories that only answer. */
function open(answers: Partial<Repositories>) {
  const none = () => Promise.reject(new Error('nobody asks for that'))
  const repositories: Repositories = {
    ...{ delete: none, rename: none, overview: none, tags: none },
    async *resume() {},
    ...answers,
  }
  return openApi({ repositories })
}

test('a repository that is being deleted gets no other name, and the answer says what to do', async () => {
  const { ask } = await open({ rename: async () => 'deleting' })
  const wanted = { as: '', from: OPERATOR, body: { to: 'team/new' } }
  const { status, json } = await ask('POST /repositories/team%2Fapp/rename', wanted)
  expect([status, json]).toMatchObject([
    409,
    {
      detail:
        'team/app is being deleted; try again when that has ended, or call it off first (berth trash list --repository team/app shows its batch, berth trash restore team/app --batch ID)',
    },
  ])
})

test('a deletion that somebody called off before its end is no success', async () => {
  const { ask } = await open({ delete: async () => 'undone' })
  const { status, json } = await ask('DELETE /repositories/team%2Fapp', { as: '', from: OPERATOR })
  expect([status, json]).toMatchObject([
    409,
    { detail: 'the deletion of team/app was called off before its end, by a restoration of what it had taken' },
  ])
})
