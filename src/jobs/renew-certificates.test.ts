import { afterEach, describe, expect, test } from 'bun:test'
import { createLog } from '../telemetry/log.ts'
import type { ManagedCertificate } from '../tls/managed.ts'
import { type Renewal, startRenewing } from './renew-certificates.ts'

const renewals: Renewal[] = []
afterEach(async () => {
  for (const renewal of renewals.splice(0)) await renewal.stop()
})

function start(tend: ManagedCertificate['tend'], others: ManagedCertificate[] = []) {
  const lines: string[] = []
  const fresh: string[] = []
  let now = 1_000_000
  const write = (line: string) => void lines.push(line)
  const renewal = startRenewing({
    certificates: () => [{ file: 'one', isReady: () => true, tend }, ...others],
    onNew: async ({ file }) => void fresh.push(file),
    log: createLog({ level: 'info', formatter: 'text', fields: {}, now: () => now, write }),
    now: () => now,
    everyMs: 3_600_000,
  })
  renewals.push(renewal)
  return { renewal, lines, fresh, later: (ms: number) => (now += ms) }
}

const never: ManagedCertificate = { file: 'two', isReady: () => true, tend: async () => false }

describe('certificates are looked at', () => {
  test('at once, and told of only where they are new', async () => {
    let due = true
    const { renewal, fresh } = start(async () => {
      const was = due
      due = false
      return was
    }, [never])
    await renewal.run()
    await renewal.run()
    expect(fresh).toEqual(['one'])
  })

  test('each for itself: one that fails keeps no other', async () => {
    const { renewal, fresh, lines } = start(async () => {
      throw new Error('the disk is full')
    }, [{ ...never, tend: async () => true }])
    await renewal.run()
    expect(fresh).toContain('two')
    expect(lines.join('')).toContain('no new certificate: the disk is full')
  })

  test('what fails each time is told once an hour', async () => {
    const { renewal, lines, later } = start(async () => {
      throw new Error('the disk is full')
    })
    for (let i = 0; i < 5; i++) await renewal.run()
    expect(lines).toHaveLength(1)
    later(3_600_001)
    await renewal.run()
    expect(lines).toHaveLength(2)
  })

  test('by force, one after the other, and whoever asked hears what failed', async () => {
    const running: string[] = []
    let most = 0
    const { renewal, fresh } = start(async ({ force }) => {
      running.push('x')
      most = Math.max(most, running.length)
      await Promise.resolve()
      running.pop()
      if (force && fresh.length > 0) throw new Error('refused')
      return force
    })
    await Promise.all([renewal.run(), renewal.force(), renewal.run()])
    expect([fresh, most]).toEqual([['one'], 1])
    expect(await renewal.force().catch((error: Error) => error.message)).toBe('refused')
    await renewal.run()
  })

  test('the end aborts what is under way, in silence', async () => {
    const begun = Promise.withResolvers<void>()
    const { renewal, lines } = start(({ signal }) => {
      begun.resolve()
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
    })
    await begun.promise
    await renewal.stop()
    expect(lines).toEqual([])
  })
})
