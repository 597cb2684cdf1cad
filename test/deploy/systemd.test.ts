import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTraced } from '../crash/start-traced.ts'
import { makeImage, pushImage } from '../image.ts'
import { describeWith, must, program, run } from '../programs.ts'
import { BERTH } from '../start-berth.ts'

const DEPLOY = join(import.meta.dir, '../../deploy/systemd')
const UNIT = readFileSync(join(DEPLOY, 'berth.service'), 'utf8')
/** Tenths, of 100: a service without any confinement has 96. */
const MOST_EXPOSED = 16

describeWith(['systemd-analyze', 'strace'], 'the unit for systemd', () => {
  let folder = ''
  let unit = ''

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'berth-unit-'))
    unit = join(folder, 'berth.service')
    // Where an installation has the executable, this machine has none.
    writeFileSync(unit, UNIT.replace('/usr/local/bin/berth', BERTH))
  })

  afterAll(() => rmSync(folder, { recursive: true }))

  /** Values of a setting, which may stand there several times. */
  const setting = (name: string) => [...UNIT.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, value]) => value)

  test('is one that systemd takes without a word', async () => {
    const { code, stdout, stderr } = await run([program('systemd-analyze'), 'verify', unit])
    expect({ code, said: stdout + stderr }).toEqual({ code: 0, said: '' })
    // A misspelt setting would not be passed over either.
    const misspelt = join(folder, 'misspelt.service')
    writeFileSync(misspelt, `${readFileSync(unit, 'utf8').replace('ProtectHome', 'ProtectHoem')}`)
    expect((await run([program('systemd-analyze'), 'verify', misspelt])).stderr).toContain('ProtectHoem')
  })

  test('is hardly exposed', async () => {
    const security = ['security', '--offline=true', `--threshold=${MOST_EXPOSED}`, '--no-pager', unit]
    const { code, stdout } = await run([program('systemd-analyze'), ...security])
    expect({ code, end: stdout.trim().split('\n').at(-1) }).toEqual({ code: 0, end: expect.stringContaining(' OK ') })
  })

  test('its account is one that systemd-sysusers makes', async () => {
    const root = join(folder, 'root')
    mkdirSync(join(root, 'etc'), { recursive: true })
    await must([program('systemd-sysusers', 'systemd'), `--root=${root}`, '-'], {
      stdin: readFileSync(join(DEPLOY, 'berth.sysusers')),
    })
    expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toMatch(
      /^berth:x:\d+:\d+:Berth container registry:\/var\/lib\/berth:\/usr\/sbin\/nologin$/m,
    )
    expect([setting('User'), setting('Group')]).toEqual([['berth'], ['berth']])
  })

  test('what the server asks of the kernel is what the unit lets it ask', async () => {
    const data = join(folder, 'data')
    const server = await startTraced(folder, data, 'all')
    let lines: string[]
    try {
      const image = makeImage({ layers: [100_000, 3_000_000], seed: 'unit' })
      await pushImage(server.url, 'team/app', image, { tag: '1' })
      for (const { digest } of image.layers) {
        expect((await fetch(`${server.url}/v2/team/app/blobs/${digest}`)).status).toBe(200)
      }
      await must([BERTH, 'gc', 'run', '--now', '--data', data])
      lines = (await server.stop()).split('\n')
    } finally {
      await server.dispose()
    }
    const asked = new Set(lines.flatMap((line) => /^\d+ +([a-z]\w*)\(/.exec(line)?.[1] ?? []))
    expect(asked.size).toBeGreaterThan(40)
    const groups = await must([program('systemd-analyze'), 'syscall-filter', '--no-pager'], {
      env: { SYSTEMD_COLORS: '0' },
    })
    const allowed = callsOf(groups, ['@default', ...(setting('SystemCallFilter') as string[])])
    expect(['reboot', 'mount'].filter((name) => allowed.has(name))).toEqual([])
    expect([...asked].filter((name) => !allowed.has(name))).toEqual([])
    // Families of addresses, too.
    const families = new Set(lines.flatMap((line) => /^\d+ +socket\((AF_\w+)/.exec(line)?.[1] ?? []))
    const named = setting('RestrictAddressFamilies').join(' ').split(' ')
    expect([...families].filter((family) => !named.includes(family))).toEqual([])
  }, 180_000)
})

/** The calls of groups, and of the groups in these, in the list that systemd-analyze prints. */
function callsOf(list: string, names: readonly string[]): Set<string> {
  const members = new Map<string, string[]>()
  let current: string[] = []
  for (const line of list.split('\n')) {
    if (line.startsWith('@')) {
      current = []
      members.set(line.trim(), current)
    } else if (/^ +[@a-z]/.test(line)) current.push(line.trim())
  }
  const found = new Set<string>()
  const add = (name: string): void => {
    for (const member of members.get(name) ?? []) {
      if (member.startsWith('@')) add(member)
      else found.add(member)
    }
  }
  for (const name of names) add(name)
  return found
}
