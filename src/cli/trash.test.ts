import { describe, expect, test } from 'bun:test'
import type { Restored, TrashRow } from '../metadata/metadata.ts'
import type { Digest } from '../oci/digest.ts'
import type { Trash } from '../registry/trash.ts'
import { openShell } from './admin.fixture.ts'
import { trashCommand } from './trash.ts'

const A: Digest = `sha256:8a3da27d7165${'a'.repeat(52)}`
const B: Digest = `sha256:0b5f6f4a63cd${'b'.repeat(52)}`
const WEB = 'f69c85a0-1111-4111-8111-111111111111'
const RUN = 'f69c85a0-2222-4222-8222-222222222222'
const OTHER = '0a1b2c3d-3333-4333-8333-333333333333'

function row(id: number, repository: string, digest: Digest, batch?: string): TrashRow {
  return {
    ...{ id, repository, digest, mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 2048, tags: ['v1'] },
    ...{ reason: 'deleted', actor: 'kim', deletedAt: 1_700_000_000_000 + id, batch },
  }
}

const ROWS = [
  row(14, 'team/web', B, OTHER),
  row(13, 'team/app', A, RUN),
  row(12, 'team/web', A, RUN),
  row(9, 'team/web', B, WEB),
  row(7, 'team/app', B),
]

async function open({ rows = ROWS, columns }: { rows?: TrashRow[]; columns?: number } = {}) {
  const asked: string[] = []
  const back = (what: string): Restored => {
    asked.push(what)
    return { digests: [A], tags: ['v1'], taken: [] }
  }
  const trash: Partial<Trash> = {
    async list(repository, { before, limit }) {
      const fitting = rows.filter((one) => repository === undefined || one.repository === repository)
      return fitting.filter(({ id }) => before === undefined || id < before).slice(0, limit)
    },
    restore: async (repository, digest) => back(`${repository}@${digest}`),
    restoreBatch: async (repository, batch) => back(`${repository} ${batch}`),
  }
  const api = { trash: trash as Trash, trashWindow: () => 604_800_000 }
  const { run } = await openShell({ api, ...(columns === undefined ? {} : { columns }) })
  return { run: (...args: string[]) => run(trashCommand, ...args), asked }
}

describe('trash list', () => {
  test('has on 80 columns whatever restore takes', async () => {
    const { run } = await open({ columns: 80 })
    expect(await run('list')).toEqual({
      ...{ code: 0, error: 'Left out: DELETED, BY, SIZE, REASON (--no-trunc shows all)\n' },
      out:
        'ID  REPOSITORY  DIGEST        TAGS  UNTIL              BATCH\n' +
        '14  team/web    0b5f6f4a63cd  v1    2023-11-21T22:13Z  0a1b2c3d\n' +
        '13  team/app    8a3da27d7165  v1    2023-11-21T22:13Z  f69c85a0\n' +
        '12  team/web    8a3da27d7165  v1    2023-11-21T22:13Z  f69c85a0\n' +
        '9   team/web    0b5f6f4a63cd  v1    2023-11-21T22:13Z  f69c85a0\n' +
        '7   team/app    0b5f6f4a63cd  v1    2023-11-21T22:13Z  -\n',
    })
  })

  test.each<[string, string[], string]>([
    [
      'of a registry',
      [],
      'The trash is empty.\nHint: a tag that went alone is not here: berth tag history REPOSITORY, berth tag restore REPOSITORY:TAG\n',
    ],
    [
      'of a repository',
      ['--repository', 'team/app'],
      'Nothing fits what was asked for.\nHint: a tag that went alone is not here: berth tag history team/app, berth tag restore team/app:TAG\n',
    ],
    [
      'of a server that was named',
      ['--data', 'data'],
      'The trash is empty.\nHint: a tag that went alone is not here: berth tag history REPOSITORY --data data, berth tag restore REPOSITORY:TAG --data data\n',
    ],
    ['of a page', ['--before', '3'], 'Nothing fits what was asked for.\n'],
  ])('that is empty leads to the tags that went alone: %s', async (_, args, error) => {
    const { run } = await open({ rows: [] })
    expect(await run('list', ...args)).toEqual({ code: 0, out: '', error })
  })
})

describe('trash restore', () => {
  test.each<[string, string[], string]>([
    ['a whole digest', [`team/app@${A}`], `team/app@${A}`],
    ['the beginning of a digest', ['team/app@8a3da27d7165'], `team/app@${A}`],
    ['an ID', ['12'], `team/web@${A}`],
    ['a whole batch', ['team/web', '--batch', RUN], `team/web ${RUN}`],
    ['a batch of which nothing is there yet', ['team/new', '--batch', RUN], `team/new ${RUN}`],
    ['a repository whose name is a number, by its batch', ['12', '--batch', RUN], `12 ${RUN}`],
    ['the beginning of a batch', ['team/app', '--batch', 'f69c85a0'], `team/app ${RUN}`],
    ['a longer beginning of a batch', ['team/web', '--batch', 'f69c85a0-11'], `team/web ${WEB}`],
    ['the beginning of a batch of one repository', ['--batch', '0a1b2c3d'], `team/web ${OTHER}`],
  ])('takes %s', async (_, args, restored) => {
    const { run, asked } = await open()
    expect(await run('restore', ...args)).toMatchObject({ code: 0, out: '' })
    expect(asked).toEqual([restored])
  })

  test.each<[string, string[], number, string]>([
    [
      'nothing',
      [],
      2,
      'name a manifest by its ID or as REPOSITORY@DIGEST, or give --batch BATCH alone\nHint: berth trash list shows them',
    ],
    [
      'a repository alone',
      ['team/app'],
      2,
      'name a manifest by its ID or as REPOSITORY@DIGEST, or give --batch BATCH alone\nHint: berth trash list shows them',
    ],
    [
      'a digest beside a batch',
      [`team/app@${A}`, '--batch', RUN],
      2,
      'name a manifest by its ID or as REPOSITORY@DIGEST, or give --batch BATCH alone\nHint: berth trash list shows them',
    ],
    ['an ID that is not there', ['10'], 1, 'there is no 10 in the trash'],
    [
      'an ID of what was deleted again since',
      ['9'],
      1,
      `team/web@${B} was deleted again after 9: 14 comes back before it\nHint: berth trash restore 14`,
    ],
    [
      'the beginning of two batches',
      ['team/web', '--batch', 'f69c85a0'],
      1,
      `f69c85a0 stands for several batches, which are restored one by one:\n  berth trash restore team/web --batch ${RUN}\n  berth trash restore team/web --batch ${WEB}`,
    ],
    [
      'a batch of two repositories',
      ['--batch', 'f69c85a0-2222'],
      1,
      `f69c85a0-2222 stands for several batches, which are restored one by one:\n  berth trash restore team/app --batch ${RUN}\n  berth trash restore team/web --batch ${RUN}`,
    ],
    [
      'the beginning of no batch',
      ['team/app', '--batch', '0a1b2c3d'],
      1,
      'nothing in the trash of team/app has a batch that begins with 0a1b2c3d',
    ],
    ['no batch at all', ['--batch', 'eeee'], 1, 'nothing in the trash has a batch that begins with eeee'],
  ])('refuses %s', async (_, args, code, error) => {
    const { run, asked } = await open()
    expect(await run('restore', ...args)).toEqual({ code, out: '', error: `berth: ${error}\n` })
    expect(asked).toEqual([])
  })
})
