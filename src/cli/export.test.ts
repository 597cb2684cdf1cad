import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Report } from '../run-export.ts'
import { openShell } from './admin.fixture.ts'
import { exportCommand } from './export.ts'
import { formatReport, nextSteps, reportProblems } from './export-report.ts'

const DISTRIBUTION = ['--layout', 'distribution']
const OCI = ['--layout', 'oci']

describe('berth export', () => {
  let folder = ''

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-export-'))
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const wrong: [readonly string[], string][] = [
    [['DIR'], "required option '--layout <layout>' not specified"],
    [['DIR', '--layout', 'tar'], "'tar' is invalid. Allowed choices are distribution, oci."],
    [['DIR', ...OCI, '--output', 'xml'], "'xml' is invalid. Allowed choices are table, json."],
    [DISTRIBUTION, 'name the folder to export to (berth export DIR --layout distribution), or --in-place'],
    [['', ...DISTRIBUTION], 'name the folder to export to'],
    [OCI, 'name the folder to export to: berth export DIR --layout oci'],
    [['DIR', 'team/app', ...DISTRIBUTION], 'team/app is no config.yml; --repository GLOB selects repositories here'],
    [
      ['DIR', 'a.yml', 'b', ...DISTRIBUTION],
      'b: only OCI layouts take names of images; --repository GLOB selects here',
    ],
    [['DIR', 'a.yml', '--config', 'b.yml', ...DISTRIBUTION], 'there are two configuration files, a.yml and b.yml'],
    [
      ['DIR', '--verbatim', ...DISTRIBUTION],
      '--verbatim goes with --layout oci alone: distribution is always verbatim',
    ],
    [
      ['--in-place', '--repository', 'a', ...DISTRIBUTION],
      '--in-place exports everything: --repository cannot go with it',
    ],
    [['--in-place', 'DIR', ...DISTRIBUTION], 'DIR is no config.yml'],
    [['--in-place', 'DIR', ...OCI], '--in-place goes with --layout distribution alone'],
    [['DIR', 'Team/App', ...OCI], '"Team/App" is no REPOSITORY[:TAG] (without a host\'s name, as in team/app:1)'],
    [['DIR', 'localhost:5000/app', ...OCI], '"localhost:5000/app" is no REPOSITORY[:TAG]'],
    [['DIR', 'app:', ...OCI], '"app:": that is no tag'],
    [['DIR', 'app@sha256:00', ...OCI], 'app@sha256:00: a digest cannot be selected; name a tag'],
  ]
  test.each(wrong)('%j is wrong usage: %s', async (args, message) => {
    const { run } = await openShell()
    const ran = await run(exportCommand, ...args)
    expect([ran.code, ran.out]).toEqual([2, ''])
    expect(ran.error).toContain(message)
    expect(existsSync('DIR')).toBe(false)
  })

  test('tells what it did, and what to do with it', async () => {
    const { run } = await openShell()
    const out = join(folder, 'out')
    expect(await run(exportCommand, out, ...DISTRIBUTION)).toEqual({
      code: 0,
      out: 'REPOSITORIES  TAGS  MANIFESTS  BLOBS  LINKED   COPIED   THERE ALREADY\n0             0     0          0      0 (0 B)  0 (0 B)  0 (0 B)\n',
      error: `A registry:2 or 3 whose rootdirectory is ${out} serves all of it.\n`,
    })
    expect(await run(exportCommand, out, ...DISTRIBUTION, '--dry-run')).toMatchObject({
      code: 0,
      error: `Nothing was written to ${out} (--dry-run).\n`,
    })
  })

  test('as JSON, that is all', async () => {
    const { run } = await openShell()
    const out = join(folder, 'out')
    const ran = await run(exportCommand, out, ...OCI, '--output', 'json')
    expect([ran.code, ran.error]).toEqual([0, ''])
    expect(JSON.parse(ran.out)).toMatchObject({ layout: 'oci', directory: out, problems: 0, findings: [] })
  })

  test('what cannot be done exits with 1', async () => {
    const { run } = await openShell()
    expect(await run(exportCommand, join(folder, 'out'), ...OCI, 'no/such:1')).toEqual({
      code: 1,
      out: '',
      error: 'berth: there is no repository no/such\n',
    })
    expect(existsSync(join(folder, 'out'))).toBe(false)
  })
})

describe('a report', () => {
  const report: Report = {
    layout: 'distribution',
    directory: '/out',
    inPlace: true,
    dryRun: false,
    repositories: 1234,
    tags: 1,
    manifests: 1,
    blobs: 1,
    linked: { files: 1, bytes: 1024 },
    copied: { files: 2, bytes: 2 * 1024 ** 3 },
    present: { files: 0, bytes: 0 },
    problems: 13,
    counts: { 'missing-bytes': 12, 'not-found': 1, converted: 3 },
    findings: [
      ...Array.from({ length: 12 }, (_, index) => {
        return { kind: 'missing-bytes', repository: 'a', reference: `sha256:${index}`, detail: 'gone' } as const
      }),
      { kind: 'not-found', repository: 'b', reference: 'b', detail: 'there is no such repository' },
      { kind: 'converted', repository: 'c', reference: 'v\u001b[1', detail: 'x became y' },
    ],
  }

  test('is a table', () => {
    expect(formatReport(report)).toBe(
      'REPOSITORIES  TAGS  MANIFESTS  BLOBS  LINKED       COPIED       THERE ALREADY\n' +
        '1,234         1     1          1      1 (1.0 KiB)  2 (2.0 GiB)  0 (0 B)\n',
    )
  })

  test('names the first problems of a kind, counts the others, and gives an example of the rest', () => {
    const lines = reportProblems(report).split('\n')
    expect(lines[0]).toBe('problem: a@sha256:0: gone')
    expect(lines.slice(10)).toEqual([
      'problem: and 2 more blobs whose bytes are not there',
      'problem: b: there is no such repository',
      "note: tags that lead to an OCI manifest in place of Docker's, as skopeo writes it (--verbatim leaves them): 3, " +
        'such as c:v\\u{1b}[1: x became y',
      '',
    ])
  })

  test('in place says when to go on with what', () => {
    expect(nextSteps(report)).toBe(
      'A registry:2 or 3 whose rootdirectory is /out goes on from here. Stop it before Berth starts there again, which ' +
        'then adopts what has changed.\n',
    )
  })
})
