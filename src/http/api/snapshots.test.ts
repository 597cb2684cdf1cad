import { describe, expect, test } from 'bun:test'
import type { Snapshot, Snapshots } from '../../registry/snapshots.ts'
import { openApi } from './api.fixture.ts'

const OPERATOR = { caller: { account: '@operator', source: 'socket', admin: true } }

function openSnapshots(begun: 'room' | 'full' = 'room') {
  const asked: unknown[] = []
  const at = Date.parse('2026-01-02T03:04:05Z')
  const snapshot: Snapshot = { id: 'a1', state: 'writing', path: '/d/a1.db', at, problem: undefined }
  const snapshots: Snapshots = {
    begin() {
      asked.push('begin')
      return begun === 'room' ? snapshot : undefined
    },
    find: (id) => (id === 'a1' ? { ...snapshot, state: 'failed', problem: 'the disk is full' } : undefined),
    async end(id) {
      asked.push(['end', id])
      return id === 'a1'
    },
    isHolding: () => false,
    stop: async () => {},
  }
  return { asked, opened: openApi({ snapshots }) }
}

const SHOWN = { id: 'a1', path: '/d/a1.db', at: '2026-01-02T03:04:05.000Z' }

describe('snapshots', () => {
  test('are begun, looked at and ended', async () => {
    const { asked, opened } = openSnapshots()
    const { ask } = await opened
    const by = { as: '', from: OPERATOR }
    const begun = await ask('POST /snapshots', by)
    expect([begun.status, begun.json]).toEqual([202, { ...SHOWN, state: 'writing', problem: null }])
    const shown = await ask('GET /snapshots/a1', by)
    expect([shown.status, shown.json]).toEqual([200, { ...SHOWN, state: 'failed', problem: 'the disk is full' }])
    expect((await ask('DELETE /snapshots/a1', by)).status).toBe(204)
    expect((await ask('GET /snapshots/b2', by)).status).toBe(404)
    expect((await ask('DELETE /snapshots/b2', by)).status).toBe(404)
    expect(asked).toEqual(['begin', ['end', 'a1'], ['end', 'b2']])
  })

  test('are for nobody but whoever may open the control socket', async () => {
    const { asked, opened } = openSnapshots()
    const { ask } = await opened
    for (const what of ['POST /snapshots', 'GET /snapshots/a1', 'DELETE /snapshots/a1']) {
      const statuses = [await ask(what), await ask(what, { as: 'jo' }), await ask(what, { as: '' })]
      expect([what, ...statuses.map(({ status }) => status)]).toEqual([what, 403, 403, 401])
    }
    expect(asked).toEqual([])
  })

  test('are refused beside too many others, and where no registry is', async () => {
    const { ask } = await openSnapshots('full').opened
    const full = await ask('POST /snapshots', { as: '', from: OPERATOR })
    expect([full.status, full.json?.detail]).toEqual([409, 'several backups run already; wait for one of them'])
    const none = await (await openApi()).ask('POST /snapshots', { as: '', from: OPERATOR })
    expect([none.status, none.json?.detail]).toEqual([
      409,
      'there is no registry here, or its images are being adopted: back up afterwards',
    ])
  })
})
