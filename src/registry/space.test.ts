import { describe, expect, test } from 'bun:test'
import type { RegistryError } from '../oci/error.ts'
import { createSpace, type Disk } from './space.ts'

const MIB = 1024 * 1024
const disk = (free: number, least: number): Disk => ({ path: '/data', free: free * MIB, least: least * MIB })

function refusalOf(disks: Disk[], bytes?: number): string | undefined {
  let refused = 0
  try {
    createSpace({ disks: () => disks, onRefused: () => refused++ }).admit(bytes)
    expect(refused).toBe(0)
    return undefined
  } catch (error) {
    expect(refused).toBe(1)
    const { code, message } = error as RegistryError
    return `${code}: ${message}`
  }
}

describe('room for a push', () => {
  test.each([
    ['is there above the floor', [disk(300, 256)], undefined],
    ['is there at the floor', [disk(256, 256)], undefined],
    ['is there for bytes that leave the floor', [disk(300, 256)], 44 * MIB],
    ['is always there without a floor', [disk(0, 0)], 10 * MIB],
    ['is there where no disk can be asked', [], 10 * MIB],
  ])('%s', (_, disks, bytes) => {
    expect(refusalOf(disks, bytes)).toBeUndefined()
  })

  test.each([
    ['is not there below the floor', [disk(255.96, 256)], undefined, '255.9 MiB are free and it takes', '256 MiB'],
    [
      'is not there for bytes that reach into the floor',
      [disk(300, 256)],
      45 * MIB,
      '300 MiB are free, 45 MiB are to come, and it',
      '256 MiB',
    ],
    [
      'is not there when one of two disks has none',
      [disk(900, 256), disk(1, 64)],
      undefined,
      '1 MiB are free',
      '64 MiB',
    ],
  ])('%s, and the answer has the figures', (_, disks, bytes, free, least) => {
    const refusal = refusalOf(disks, bytes)
    expect(refusal).toStartWith('DENIED: the disk of the registry is nearly full: ')
    expect(refusal).toContain(free)
    expect(refusal).toContain(`leaves less than ${least};`)
  })

  test('that goes while bytes come is told to each of those that take them, once, and to nobody afterwards', async () => {
    let now = disk(300, 256)
    const space = createSpace({ disks: () => [now], everyMs: 1 })
    const told: string[] = []
    const first = Promise.withResolvers<void>()
    const second = Promise.withResolvers<void>()
    const works = [
      space.during(
        (reason) => {
          told.push(`first ${reason.code}`)
          first.resolve()
        },
        () => first.promise,
      ),
      space.during(
        (reason) => {
          told.push(`second ${reason.code}`)
          second.resolve()
        },
        () => second.promise,
      ),
      space.during(
        () => told.push('never'),
        async () => {},
      ),
    ]
    await works[2]
    now = disk(255, 256)
    await Promise.all(works)
    expect(told).toEqual(['first DENIED', 'second DENIED'])
    await space.during(
      () => told.push('never'),
      async () => {},
    )
    expect(told).toHaveLength(2)
  })
})
