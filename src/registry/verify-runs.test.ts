import { describe, expect, test } from 'bun:test'
import type { Metadata } from '../metadata/metadata.ts'
import { digestOf } from '../oci/digest.ts'
import type { Finding } from './finding.ts'
import { StoppedError } from './rate.ts'
import type { Verifier, VerifyEvents } from './verify.ts'
import { createVerifyRuns } from './verify-runs.ts'

const manifest = digestOf(Buffer.from('m'))
const affected = Array.from({ length: 100 }, (_, tag) => ({ repository: 'app', tag: `v${tag}`, manifest }))
const finding = (more: Partial<Finding> = {}): Finding => ({
  ...{ kind: 'blob-digest', severity: 'fault', what: 'blob', detail: 'bad', affected, outcome: 'found' },
  ...{ done: undefined, advice: undefined, ...more },
})
const MODE = { deep: true, repair: false, rate: undefined }

function open(work: (events: VerifyEvents, signal: AbortSignal) => Promise<void>) {
  const failures: unknown[] = []
  const verifier: Verifier = { run: (_, events, signal) => work(events, signal) }
  const deps = { metadata: {} as Metadata, verifier, now: () => 5, newId: () => 'id' }
  const runs = createVerifyRuns({ ...deps, onFailure: (error) => failures.push(error) })
  return { runs, failures }
}

describe('a verification that somebody asked for', () => {
  test('counts faults, those that are left, and notes', async () => {
    const { runs } = open(async ({ found }) => {
      for (const outcome of ['found', 'healing', 'mended'] as const) found(finding({ outcome }))
      found(finding({ severity: 'note' }))
    })
    expect(runs.latest()).toBeUndefined()
    expect(runs.start(MODE)).toMatchObject({ state: 'running' })
    expect(runs.start(MODE)).toBeUndefined()
    await runs.idle()
    expect(runs.latest()).toMatchObject({ state: 'done', faults: 3, left: 2, notes: 1, endedAt: 5 })
    expect(runs.findings(1, 2).map(({ outcome }) => outcome)).toEqual(['healing', 'mended'])
    expect(runs.stop()).toBe(false)
  })

  test('holds a bounded number of findings, and of what they affect', async () => {
    const { runs } = open(async ({ found }) => {
      for (let each = 0; each < 10_005; each++) found(finding())
    })
    runs.start(MODE)
    await runs.idle()
    expect(runs.latest()?.faults).toBe(10_005)
    expect(runs.findings(0, 20_000)).toHaveLength(10_000)
    expect(runs.findings(999, 2).map((one) => one.affected.length)).toEqual([100, 5])
  })

  test('is stopped, and makes way for the next', async () => {
    const { runs, failures } = open(async (_, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      throw new StoppedError()
    })
    runs.start(MODE)
    expect(runs.stop()).toBe(true)
    await runs.idle()
    expect(runs.latest()).toMatchObject({ state: 'stopped', error: undefined })
    expect(failures).toEqual([])
    expect(runs.start(MODE)).toBeDefined()
    runs.stop()
    await runs.idle()
  })

  test('that fails says why', async () => {
    const { runs, failures } = open(async () => {
      throw new Error('the disk is gone')
    })
    runs.start(MODE)
    await runs.idle()
    expect(runs.latest()).toMatchObject({ state: 'failed', error: 'the disk is gone' })
    expect(failures).toHaveLength(1)
  })
})
