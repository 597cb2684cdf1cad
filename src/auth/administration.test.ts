import { describe, expect, test } from 'bun:test'
import { type AuditRow, MetadataError } from '../metadata/metadata.ts'
import { ACTOR, caught } from './accounts.fixture.ts'
import { ChangeError, createChanges } from './administration.ts'
import { UnavailableError } from './authenticator.ts'

function start() {
  const rows: AuditRow[] = []
  return { rows, changes: createChanges({ now: () => 7, record: (row) => rows.push(row) }) }
}

describe('a change', () => {
  test('is recorded with who made it, and when', async () => {
    const { rows, changes } = start()
    expect(await changes.run(ACTOR, 'user a', 'made', async () => 42)).toBe(42)
    expect(rows).toEqual([
      {
        at: 7,
        kind: 'change',
        account: 'root',
        source: 'berth',
        address: '192.0.2.1',
        service: '',
        asked: 'user a',
        granted: '',
        rules: '',
        outcome: 'done',
        detail: 'made',
      },
    ])
  })

  test.each([
    ['is refused, with the reason', new ChangeError('conflict', 'no'), ChangeError, 'made: no'],
    [
      'meets a full disk, in words for anybody',
      new MetadataError('no-space', 'ENOSPC /var/lib'),
      UnavailableError,
      'made: the database has no space left on its disk',
    ],
    ['meets a mistake of ours, without its words', new TypeError('secret'), TypeError, 'made: internal error'],
  ])('that %s is recorded, too', async (_, thrown, kind, detail) => {
    const { rows, changes } = start()
    const work = () => Promise.reject(thrown)
    expect(await caught(changes.run(ACTOR, 'user a', 'made', work))).toBeInstanceOf(kind)
    expect(rows.map((row) => [row.outcome, row.detail])).toEqual([['failed', detail]])
  })

  test('waits for the one before it, whether that happens or not', async () => {
    const { changes } = start()
    const steps: string[] = []
    const first = changes.run(ACTOR, 'a', '', async () => {
      steps.push('first begins')
      await Promise.resolve()
      steps.push('first ends')
      throw new ChangeError('conflict', 'no')
    })
    const second = changes.run(ACTOR, 'b', '', async () => steps.push('second'))
    await Promise.all([caught(first), second])
    expect(steps).toEqual(['first begins', 'first ends', 'second'])
  })
})
