import { describe, expect, test } from 'bun:test'
import { cutText, type Listing, writeListing } from './listing.ts'

function written(listing: Partial<Listing>, room: number | undefined) {
  const shown = { out: '', error: '' }
  const screen = {
    out(text: string) {
      shown.out += text
    },
    error(text: string) {
      shown.error += text
    },
  }
  writeListing(screen, { titles: [], rows: [], empty: 'There is nothing.', ...listing }, room)
  return shown
}

const DIGEST = `sha256:8a3da27d7165${'0'.repeat(52)}`
const AT = '2026-01-02T03:04:05Z'
const TAGS = {
  titles: ['TAG', 'DIGEST', 'PUSHED', 'BY', 'LAST PULL'],
  rows: [
    ['v1', DIGEST, AT, 'kim', '-'],
    ['latest', DIGEST, AT, '(anonymous)', '-'],
  ],
  spare: ['BY'],
}

describe('a list', () => {
  test('is whole where there is no terminal', () => {
    expect(written(TAGS, undefined)).toEqual({
      out:
        `TAG     DIGEST${' '.repeat(67)}PUSHED                BY           LAST PULL\n` +
        `v1      ${DIGEST}  ${AT}  kim          -\n` +
        `latest  ${DIGEST}  ${AT}  (anonymous)  -\n`,
      error: '',
    })
  })

  test.each<[string, number, string, string]>([
    [
      'has digests of 12 digits on a terminal, also on one that tells no width',
      Number.POSITIVE_INFINITY,
      'TAG     DIGEST        PUSHED                BY           LAST PULL\n' +
        'v1      8a3da27d7165  2026-01-02T03:04:05Z  kim          -\n' +
        'latest  8a3da27d7165  2026-01-02T03:04:05Z  (anonymous)  -\n',
      '',
    ],
    [
      'fits just so',
      66,
      'TAG     DIGEST        PUSHED                BY           LAST PULL\n' +
        'v1      8a3da27d7165  2026-01-02T03:04:05Z  kim          -\n' +
        'latest  8a3da27d7165  2026-01-02T03:04:05Z  (anonymous)  -\n',
      '',
    ],
    [
      'gives up seconds first',
      65,
      'TAG     DIGEST        PUSHED             BY           LAST PULL\n' +
        'v1      8a3da27d7165  2026-01-02T03:04Z  kim          -\n' +
        'latest  8a3da27d7165  2026-01-02T03:04Z  (anonymous)  -\n',
      '',
    ],
    [
      'then columns that say nothing',
      60,
      'TAG     DIGEST        PUSHED             BY\n' +
        'v1      8a3da27d7165  2026-01-02T03:04Z  kim\n' +
        'latest  8a3da27d7165  2026-01-02T03:04Z  (anonymous)\n',
      '',
    ],
    [
      'then the time of day, where that is enough',
      48,
      'TAG     DIGEST        PUSHED      BY\n' +
        'v1      8a3da27d7165  2026-01-02  kim\n' +
        'latest  8a3da27d7165  2026-01-02  (anonymous)\n',
      '',
    ],
    [
      'then columns that may be spared, and says so',
      40,
      'TAG     DIGEST        PUSHED\n' +
        'v1      8a3da27d7165  2026-01-02T03:04Z\n' +
        'latest  8a3da27d7165  2026-01-02T03:04Z\n',
      'Left out: BY (--no-trunc shows all)\n',
    ],
    [
      'and the time of day at last',
      36,
      'TAG     DIGEST        PUSHED\n' + 'v1      8a3da27d7165  2026-01-02\n' + 'latest  8a3da27d7165  2026-01-02\n',
      'Left out: BY (--no-trunc shows all)\n',
    ],
    [
      'and is a block for each row where no table fits',
      20,
      'TAG     v1\n' +
        'DIGEST  8a3da27d7165\n' +
        'PUSHED  2026-01-02T03:04:05Z\n' +
        'BY      kim\n' +
        '\n' +
        'TAG     latest\n' +
        'DIGEST  8a3da27d7165\n' +
        'PUSHED  2026-01-02T03:04:05Z\n' +
        'BY      (anonymous)\n',
      '',
    ],
  ])('%s', (_, room, out, error) => {
    expect(written(TAGS, room)).toEqual({ out, error })
  })

  test('cuts what is widest, but never what the next command needs', () => {
    const rows = [['0123456789abcdef', 'team/a-long-name/of-a-repository', 'a comment that nobody reads to its end']]
    const listing = { titles: ['ID', 'REPOSITORY', 'COMMENT'], rows, keep: ['ID'] }
    expect(written(listing, 60).out).toBe(
      'ID                REPOSITORY            COMMENT\n' +
        '0123456789abcdef  team/a-lon…epository  a comment that nobo…\n',
    )
    expect(written({ ...listing, keep: ['ID', 'REPOSITORY', 'COMMENT'] }, 60).out).toBe(
      `ID          ${rows[0]?.[0]}\nREPOSITORY  ${rows[0]?.[1]}\nCOMMENT     ${rows[0]?.[2]}\n`,
    )
  })

  test('gives up an id that no row has, and counts that are all nought, before what says something', () => {
    const rows = [['1', 'team/app', '0', '0 B', 'kim', 'deleted', '-']]
    const listing = {
      titles: ['ID', 'NAME', 'SKIPPED', 'WAITING', 'BY', 'REASON', 'BATCH'],
      ...{ rows, keep: ['ID', 'BATCH'], spare: ['SKIPPED', 'WAITING', 'BY', 'REASON'] },
    }
    expect(written(listing, 46).out).toBe(
      'ID  NAME      SKIPPED  WAITING  BY   REASON\n1   team/app  0        0 B      kim  deleted\n',
    )
    expect(written(listing, 40)).toEqual({
      out: 'ID  NAME      BY   REASON\n1   team/app  kim  deleted\n',
      error: 'Left out: SKIPPED, WAITING (--no-trunc shows all)\n',
    })
  })

  test('may have a last column that is whole in any case', () => {
    const rows = [['2026-01-02T03:04:05Z', '/usr/share/doc/a-long-name']]
    expect(written({ titles: ['MODIFIED', 'NAME'], rows, wraps: true }, 30).out).toBe(
      'MODIFIED    NAME\n2026-01-02  /usr/share/doc/a-long-name\n',
    )
  })

  test('shortens digests within a name, and prefixes of media types', () => {
    const rows = [[`team/app@${DIGEST}`, 'application/vnd.oci.image.index.v1+json']]
    expect(written({ titles: ['MANIFEST', 'TYPE'], rows }, 62).out).toBe(
      `MANIFEST${' '.repeat(22)}TYPE\nteam/app@sha256:8a3da27d7165  vnd.oci.image.index.v1+json\n`,
    )
  })

  test('without rows is a sentence, and no lone line of titles', () => {
    for (const room of [undefined, 80]) {
      expect(written({ titles: ['TAG'] }, room)).toEqual({ out: '', error: 'There is nothing.\n' })
    }
  })

  test('shows nothing that a terminal would obey', () => {
    expect(written({ titles: ['TAG'], rows: [['a\x1b[2J']] }, 80).out).toBe('TAG\na\\u{1b}[2J\n')
  })
})

test.each<[string, number, string]>([
  ['short', 12, 'short'],
  ['team/application', 12, 'team/a…ation'],
  ['a sentence with words', 12, 'a sentence …'],
  ['字字字字字字字字', 9, '字字…字字'],
])('%s in %i columns', (text, width, cut) => {
  expect(cutText(text, width)).toBe(cut)
  expect(Bun.stringWidth(cut)).toBeLessThanOrEqual(width)
})
