import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { AdminContext } from '../../src/cli/control.ts'
import { pruneCommand } from '../../src/cli/prune.ts'
import { retentionCommand } from '../../src/cli/retention.ts'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { startReceiver } from '../receiver.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { descriptorOf, imageManifest, indexOf, pushBlob, pushImage, pushManifest } from './content.ts'

const DAY = 86_400_000
/** The counting of pulls begins by the machine's clock. */
const START = Date.now()

/** Retention as the operator has it: rules, plans, runs, by the commands and by itself, against a registry with a clock of the test's. */
describe('retention', () => {
  let registry: TestRegistry
  let time = START
  let folder: string

  beforeEach(async () => {
    time = START
    folder = mkdtempSync(join(tmpdir(), 'berth-retention-'))
    await open({})
  })
  afterEach(async () => {
    await registry.stop()
    rmSync(folder, { recursive: true })
  })

  async function open(env: Record<string, string>): Promise<void> {
    if (registry !== undefined) await registry.stop().catch(() => {})
    registry = await startRegistry({
      now: () => time,
      env: { REGISTRY_STORAGE_DELETE_ENABLED: 'true', ...env },
      // Nothing but retention takes anything.
      change: (config) => {
        config.gc.enabled = false
      },
    })
  }

  /** A command line, with what it wrote; a failure is its text. */
  async function berth(make: (context: AdminContext) => Command, ...args: string[]): Promise<string> {
    let text = ''
    const context: AdminContext = {
      configOf: () => ({}) as ReturnType<AdminContext['configOf']>,
      open: async () => ({ isServer: true, fetch: (request) => registry.app.control(request), close: async () => {} }),
      out: (more) => {
        text += more
      },
      error: (more) => {
        text += more
      },
      setExitCode: () => {},
      readPassword: async () => '',
      ask: async () => '',
      now: () => time,
      columns: undefined,
    }
    try {
      await make(context).exitOverride().parseAsync(args, { from: 'user' })
    } catch (error) {
      text += `failed: ${error instanceof Error ? error.message : String(error)}\n`
    }
    return text
  }
  const retention = (...args: string[]) => berth(retentionCommand, ...args)
  const prune = (...args: string[]) => berth(pruneCommand, ...args)
  const lines = (text: string) => text.trimEnd().split('\n')

  const push = async (tag: string, ageDays: number, repository = 'team/app') => {
    const now = time
    time = START - ageDays * DAY
    await pushImage(registry.port, repository, tag)
    time = now
  }
  const tagsOf = async (repository = 'team/app') => {
    const response = await fetch(`${registry.url}/v2/${repository}/tags/list`)
    return ((await response.json()) as { tags: string[] | null }).tags ?? []
  }

  test('shows what it would do and why, and then does just that', async () => {
    for (const [tag, age] of [
      ['v1', 100],
      ['pr-1', 40],
      ['pr-2', 35],
      ['pr-3', 2],
      ['old', 90],
      ['new', 1],
    ] as const) {
      await push(tag, age)
    }
    await push('only', 300, 'team/alone')
    expect(await retention('set', 'releases', '--tag', 'v*', '--action', 'keep')).toBe(
      'The rule releases is set; berth retention run --dry-run shows what it does.\n',
    )
    await retention('set', 'old-prs', '--tag', 'pr-*', '--older-than', '30d', '--action', 'delete')
    await retention('set', 'old', '--repository', 'team/**', '--older-than', '60d', '--action', 'delete')
    const before = await tagsOf()
    const plan = await retention('run', '--dry-run')
    expect(lines(plan)).toEqual([
      '= team/alone:only  the newest tag stays, or the repository would be empty, in spite of old',
      '- team/app:old  old: pushed 90d ago (more than 60d)',
      '- team/app:pr-1  old-prs: pushed 40d ago (more than 30d)',
      '- team/app:pr-2  old-prs: pushed 35d ago (more than 30d)',
      '= team/app:v1  releases: kept by the rule, in spite of old',
      '2 repositories: 3 tags would go, 4 would stay; 3 manifests with 1.2 KiB would go to the trash',
    ])
    expect(await tagsOf()).toEqual(before)
    const json = JSON.parse(await retention('run', '--dry-run', '--format', 'json', '--all'))
    const ndjson = lines(await retention('run', '--dry-run', '--format', 'ndjson', '--all')).map((line) =>
      JSON.parse(line),
    )
    expect([...json.items, json.total]).toEqual(ndjson)
    expect(json.items).toHaveLength(7)
    const done = await retention('run')
    expect(done).toMatch(/^3 tags are deleted; 3 manifests with [\d.]+ \w+ are in the trash\n$/)
    expect([await tagsOf(), await tagsOf('team/alone')]).toEqual([['new', 'pr-3', 'v1'], ['only']])
    const runs = JSON.parse(await retention('status', '--format', 'json')).runs
    expect(runs).toMatchObject([
      { cause: 'asked', actor: '@operator', state: 'done', tags: 3, skipped: 0, repositories: 2 },
    ])
    expect([runs[0].manifests, runs[0].bytes]).toEqual([json.total.manifests, json.total.bytes])
    expect(lines(await retention('run', '--dry-run')).at(-1)).toStartWith(
      '2 repositories: 0 tags would go, 4 would stay',
    )
    const history = await registry.app.control(
      new Request('http://berth/api/v1/tags/history?repository=team/app&tag=old'),
    )
    expect(await history.json()).toMatchObject({ moves: [{ to: null, actor: 'retention:old' }, {}] })
    const trash = await registry.app.control(new Request('http://berth/api/v1/trash'))
    const { manifests } = (await trash.json()) as { manifests: { tags: string[]; batch: string }[] }
    expect(manifests.flatMap((row) => row.tags).sort()).toEqual(['old', 'pr-1', 'pr-2'])
    const restored = await registry.app.control(
      new Request('http://berth/api/v1/trash/restore', {
        ...{ method: 'POST', headers: { 'Content-Type': 'application/json' } },
        body: JSON.stringify({ repository: 'team/app', batch: manifests[0]?.batch }),
      }),
    )
    expect(restored.status).toBe(200)
    expect(await tagsOf()).toEqual(before)
  }, 180_000)

  test('takes rules of a file, and refuses those that could not mean what they say, each with its line', async () => {
    const file = join(folder, 'rules.yml')
    writeFileSync(
      file,
      `retention:
  rules:
    - name: nightly
      tags: [nightly-*]
      beyondnewest: 10
      action: delete
    - tags: [v*]
      action: keep
`,
    )
    expect(await retention('set', '--file', file)).toBe('The list has 2 rules now.\n')
    expect(lines(await retention('ls'))).toEqual([
      '#  NAME     ACTION  SOURCE  WHAT',
      '1  nightly  delete  api     tags=nightly-* beyondnewest=10',
      '2  rule-2   keep    api     tags=v*',
      '   expiry   delete  config  what has expired by its own word (berth.expires-after)',
    ])
    writeFileSync(
      file,
      '- name: a\n  tags: [v*]\n  olderthen: 30d\n  action: delete\n- name: b\n  tags: ["[a"]\n  action: keep\n',
    )
    const refused = await retention('set', '--file', file)
    expect(refused).toContain(`${file}:3: error: rules[0].olderthen: is an unknown key\n    Did you mean olderthan?`)
    expect(refused).toContain(`${file}:6: error: rules[1].tags[0]: "[a" is no glob`)
    expect(await retention('set', '--file', join(folder, 'none.yml'))).toContain('there is no such file')
    expect(await retention('rm', 'rule-2')).toBe('The rule rule-2 is removed.\n')
    expect(await retention('rm', 'rule-2')).toBe('failed: there is no rule rule-2 of retention\n')
    expect(await retention('set', 'x', '--action', 'delete')).toContain('delete everything in every repository')
    expect(await retention('set', 'x', '--tag', 'a', '--newest', '3', '--action', 'delete')).toContain(
      'beyondnewest deletes all but',
    )
    expect(await retention('run', '--dry-run', 'team/none')).toBe('failed: there is no repository team/none\n')
  })

  test('prunes a repository only when it is told to, and never what a rule keeps', async () => {
    for (const [tag, age] of [
      ['a', 9],
      ['b', 8],
      ['c', 7],
      ['d', 6],
      ['v1', 50],
    ] as const)
      await push(tag, age)
    await retention('set', 'releases', '--tag', 'v*', '--action', 'keep')
    const plan = await prune('team/app', '--keep', '2')
    expect(lines(plan)).toEqual([
      '- team/app:a  prune: not among the 2 newest',
      '- team/app:b  prune: not among the 2 newest',
      '= team/app:v1  releases: kept by the rule, in spite of prune',
      expect.stringMatching(/^1 repository: 2 tags would go, 3 would stay/),
      'Nothing is deleted yet: --yes does it.',
    ])
    expect(await tagsOf()).toHaveLength(5)
    expect(await prune('team/app', '--keep', '2', '--yes')).toEndWith('are in the trash\n')
    expect(await tagsOf()).toEqual(['c', 'd', 'v1'])
    expect(await prune('team/app', '--include', '*', '--exclude', 'd', '--older-than', '1d', '--yes')).toContain(
      '- team/app:c',
    )
    expect(await tagsOf()).toEqual(['d', 'v1'])
    expect(await prune('team/app')).toContain('failed: say what goes')
    expect(await prune('team/app', '--keep', '0')).toContain('failed: --keep: "0" is no number from 1')
    expect(await prune('team/none', '--keep', '1')).toBe('failed: there is no repository team/none\n')
    expect(await prune('team/app', '--older-than', '3 days')).toContain('is no age')
  }, 180_000)

  test('deletes no immutable tag, and says so', async () => {
    await open({ REGISTRY_IMMUTABLE_0_NAME: 'frozen', REGISTRY_IMMUTABLE_0_TAGS: '[v*]' })
    for (const [tag, age] of [
      ['v1', 9],
      ['a', 8],
      ['b', 1],
    ] as const)
      await push(tag, age)
    const plan = await prune('team/app', '--older-than', '5d')
    expect(lines(plan).slice(0, 2).sort()).toEqual([
      '- team/app:a  prune: pushed 8d ago (more than 5d)',
      '= team/app:v1  immutable by the rule frozen, in spite of prune',
    ])
    await prune('team/app', '--older-than', '5d', '--yes')
    expect(await tagsOf()).toEqual(['b', 'v1'])
  })

  test('tells receivers of notifications of each tag and image that is deleted, with the rule', async () => {
    const receiver = startReceiver()
    const hook = { name: 'hook', url: receiver.url, timeout: '10s', threshold: 2, backoff: '10ms' }
    const ignore = { actions: ['push', 'pull'] }
    await open({ REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify([{ ...hook, ignore }]) })
    await push('a', 9)
    await push('b', 1)
    await prune('team/app', '--older-than', '5d', '--yes')
    const told = (await receiver.waitFor(2)).map(({ event: { action, target, actor } }) => ({
      ...{ action, repository: target.repository, tag: target.tag, isImage: target.digest !== undefined, actor },
    }))
    await receiver.stop()
    const common = { action: 'delete', repository: 'team/app', actor: { name: 'retention:prune' } }
    expect(told).toEqual([
      { ...common, tag: 'a', isImage: false },
      { ...common, tag: undefined, isImage: true },
    ])
  }, 180_000)

  test('goes by pulls, by tag and by digest, and by the last push where that is later', async () => {
    for (const [tag, age] of [
      ['used', 100],
      ['by-digest', 100],
      ['idle', 100],
      ['new', 10],
    ] as const)
      await push(tag, age)
    // Nobody knows what was pulled before the counting began, which is when the registry was made.
    expect(lines(await prune('team/app', '--not-pulled-for', '90d'))[0]).toStartWith('1 repository: 0 tags would go')
    time = START + 80 * DAY
    await (await fetch(`${registry.url}/v2/team/app/manifests/used`)).arrayBuffer()
    const head = await fetch(`${registry.url}/v2/team/app/manifests/by-digest`, { method: 'HEAD' })
    const digest = head.headers.get('docker-content-digest')
    await (await fetch(`${registry.url}/v2/team/app/manifests/${digest}`)).arrayBuffer()
    time = START + 95.5 * DAY
    const plan = lines(await prune('team/app', '--not-pulled-for', '90d', '--exclude', 'new'))
    expect(plan[0]).toBe('- team/app:idle  prune: last used 95d ago (more than 90d)')
    expect(plan[1]).toStartWith('1 repository: 1 tag would go')
  })

  test('deletes what has expired by its own word, by annotation, label, and the labels of all images of an index', async () => {
    const label = async (tag: string, labels: Record<string, string>, annotations?: Record<string, string>) => {
      const config = JSON.stringify({ architecture: 'amd64', os: 'linux', tag, config: { Labels: labels } })
      await pushBlob(registry.port, 'team/app', config)
      await pushBlob(registry.port, 'team/app', 'layer')
      const manifest = imageManifest(config, ['layer'], annotations === undefined ? {} : { annotations })
      await pushManifest(registry.port, 'team/app', tag, manifest)
      return descriptorOf(MEDIA_TYPES.ociManifest, manifest)
    }
    const short = { 'berth.expires-after': '2d' }
    await label('labelled', short)
    await label('annotated', {}, short)
    await label('later', { 'berth.expires-after': '4w' })
    await label('of-quay', { 'quay.expires-after': '1h' })
    await label('nonsense', { 'berth.expires-after': 'soon' })
    await label('no-day', { 'berth.expires-after': '2001-02-30' })
    const [a, b] = [await label('child-a', short), await label('child-b', { 'berth.expires-after': '3d' })]
    await pushManifest(registry.port, 'team/app', 'index', indexOf([a, b]), MEDIA_TYPES.ociIndex)
    const unmarked = await label('unmarked', {})
    await pushManifest(registry.port, 'team/app', 'mixed', indexOf([a, unmarked]), MEDIA_TYPES.ociIndex)
    time = START + 2.5 * DAY
    await registry.app.retaining.retain()
    expect(await tagsOf()).toEqual(['child-b', 'index', 'later', 'mixed', 'no-day', 'nonsense', 'of-quay', 'unmarked'])
    time = START + 3.5 * DAY
    await registry.app.retaining.retain()
    expect(await tagsOf()).toEqual(['later', 'mixed', 'no-day', 'nonsense', 'of-quay', 'unmarked'])
    // The image whose tag went is still a child of an index that stays.
    expect((await fetch(`${registry.url}/v2/team/app/manifests/${a.digest}`)).status).toBe(200)
  }, 180_000)

  describe('by itself', () => {
    beforeEach(async () => {
      await open({
        REGISTRY_RETENTION_INTERVAL: '24h',
        REGISTRY_RETENTION_RULES_0_NAME: 'old',
        REGISTRY_RETENTION_RULES_0_TAGS: '["**"]',
        REGISTRY_RETENTION_RULES_0_OLDERTHAN: '30d',
        REGISTRY_RETENTION_RULES_0_ACTION: 'delete',
      })
      for (const [tag, age] of [
        ['a', 40],
        ['b', 29],
        ['c', 1],
      ] as const)
        await push(tag, age)
    })

    test('runs at each interval, and no sooner', async () => {
      await registry.app.retaining.retain()
      expect(await tagsOf()).toEqual(['b', 'c'])
      await push('d', 60)
      time += DAY / 2
      await registry.app.retaining.retain()
      expect(await tagsOf()).toEqual(['b', 'c', 'd'])
      time = START + 1.5 * DAY
      await registry.app.retaining.retain()
      expect(await tagsOf()).toEqual(['c'])
      const { runs } = JSON.parse(await retention('status', '--format', 'json'))
      expect(runs.map(({ cause, tags }: { cause: string; tags: number }) => [cause, tags])).toEqual([
        ['schedule', 2],
        ['schedule', 1],
      ])
      expect(await retention('status')).toStartWith(
        `1 rule, and what images say of their expiry, carried out every 24h; the next time ${new Date(START + 2.5 * DAY).toISOString().replace(/\.\d+Z/, 'Z')}.\n`,
      )
    })

    test('waits where the clock was set', async () => {
      await registry.app.retaining.look()
      time += 365 * DAY
      for (let looks = 0; looks < 3; looks++) await registry.app.retaining.look()
      expect(await tagsOf()).toEqual(['b', 'c'])
      // Who asks for a run says that the clock is right.
      await registry.app.retaining.retain()
      expect(await tagsOf()).toEqual(['c'])
    })

    test('rules of the configuration are shown as such, and changed there alone', async () => {
      expect(await retention('ls')).toContain('old     delete  config  tags=** olderthan=30d')
      expect(await retention('rm', 'old')).toContain("the rule old is in the server's configuration")
      expect(await retention('set', 'old', '--tag', 'x', '--action', 'keep')).toContain('there are two rules old')
    })

    test('leaves a read-only registry alone', async () => {
      await open({ REGISTRY_STORAGE_MAINTENANCE_READONLY: '{"enabled": true}' })
      expect(await retention('run')).toBe('failed: the registry is read-only, or images are still being adopted\n')
    })
  })
})
