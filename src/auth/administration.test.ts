import { describe, expect, test } from 'bun:test'
import { type AuditRow, MetadataError } from '../metadata/metadata.ts'
import { RegistryError } from '../oci/error.ts'
import { ACTOR, caught } from './accounts.fixture.ts'
import { ChangeError, createChanges, OPERATOR } from './administration.ts'
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
    [
      'meets a fault below the registry, in its words',
      new RegistryError('UNAVAILABLE', { message: 'the disk reports errors', cause: new Error('EIO /var/lib') }),
      UnavailableError,
      'made: the disk reports errors',
    ],
    ['meets a mistake of ours, without its words', new TypeError('secret'), TypeError, 'made: internal error'],
  ])('that %s is recorded, too', async (_, thrown, kind, detail) => {
    const { rows, changes } = start()
    const work = () => Promise.reject(thrown)
    expect(await caught(changes.run(ACTOR, 'user a', 'made', work))).toBeInstanceOf(kind)
    expect(rows.map((row) => [row.outcome, row.detail])).toEqual([['failed', detail]])
  })

  test('is described by what it found', async () => {
    const { rows, changes } = start()
    let found = 'nothing'
    await changes.run(
      ACTOR,
      'user a',
      () => `found ${found}`,
      async () => {
        found = 'a user'
      },
    )
    expect(rows.map(({ detail }) => detail)).toEqual(['found a user'])
  })

  test('that is prepared lets others pass until then, and is recorded even where it comes to nothing', async () => {
    const { rows, changes } = start()
    const steps: string[] = []
    const { promise, resolve } = Promise.withResolvers<string>()
    const slow = changes.prepared(
      ACTOR,
      'a',
      'slow',
      () => promise,
      async (prepared) => steps.push(prepared),
    )
    await changes.run(ACTOR, 'b', 'quick', async () => steps.push('quick'))
    resolve('slow')
    await slow
    expect(steps).toEqual(['quick', 'slow'])
    const failing = () => Promise.reject(new ChangeError('invalid', 'no'))
    await caught(changes.prepared(ACTOR, 'c', 'bad', failing, async () => steps.push('never')))
    expect(rows.map(({ outcome, detail }) => [outcome, detail])).toEqual([
      ['done', 'quick'],
      ['done', 'slow'],
      ['failed', 'bad: no'],
    ])
    expect(steps).toHaveLength(2)
  })

  test('of an account that has 50 under way is turned away, and those of others are not', async () => {
    const { rows, changes } = start()
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = Array.from({ length: 50 }, () => changes.run(ACTOR, 'a', '', () => promise))
    const refused = [
      await caught(changes.run(ACTOR, 'a', '', async () => {})),
      await caught(
        changes.prepared(
          ACTOR,
          'a',
          '',
          async () => {},
          async () => {},
        ),
      ),
    ]
    for (const error of refused)
      expect(error).toEqual(new UnavailableError('too many changes are waiting; try again soon'))
    const other = changes.run({ ...ACTOR, account: 'jo' }, 'b', '', async () => 1)
    resolve()
    await Promise.all(waiting)
    expect(await other).toBe(1)
    expect(await changes.run(ACTOR, 'a', '', async () => 2)).toBe(2)
    expect(rows).toHaveLength(52)
  })

  test('of the operator has its turn even where all others wait', async () => {
    const { changes } = start()
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting = Array.from({ length: 200 }, (_, i) =>
      changes.run({ ...ACTOR, account: `a${i}` }, 'a', '', () => promise),
    )
    expect(await caught(changes.run(ACTOR, 'a', '', async () => {}))).toBeInstanceOf(UnavailableError)
    const operator = changes.run(OPERATOR, 'b', '', async () => 1)
    resolve()
    await Promise.all(waiting)
    expect(await operator).toBe(1)
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
