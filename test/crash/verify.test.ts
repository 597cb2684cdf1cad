import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { makeImage, pushImage, type TestImage } from '../image.ts'
import { openVerifyRig, type VerifyRig } from '../verify-rig.ts'

/**
 * Verifications beside pushes, deletions and an eager collector: whatever state a push or a collection is in when it is looked at, nothing is wrong
 * with it, and a repair takes nothing away.
 */
describe('verifications while everything moves', () => {
  const LANES = 3
  const ROUNDS = 12
  /** Milliseconds: enough for a turn of the collector to begin. */
  const PAUSE = 100
  /** Past that something is wrong with the collector. */
  const MOST = 200
  let rig: VerifyRig

  beforeAll(async () => {
    rig = await openVerifyRig(Date.now, {
      REGISTRY_GC_DELAY: '1s',
      REGISTRY_GC_INTERVAL: '100ms',
      REGISTRY_TRASH_WINDOW: '0s',
    })
  })
  afterAll(() => rig.dispose())

  test('find nothing, and harm nothing', async () => {
    const kept = new Map<string, TestImage>()
    let moving = LANES
    let isCollecting = false
    let deleted = 0
    const hasSeenEnough = () => isCollecting && deleted > LANES && kept.size > 0

    /** Pushes images that share layers with others, and deletes every second one. */
    async function lane(number: number): Promise<void> {
      const repository = `lane/${number % 2}`
      // While somebody always pushes the collector takes its time: in the end one client is left, who pauses.
      for (let round = 0; round < ROUNDS || (number === 0 && !hasSeenEnough() && round < MOST); round++) {
        if (round >= ROUNDS) await Bun.sleep(PAUSE)
        const goes = round % 2 === 0
        const seed = goes ? `${number} ${round}` : `shared ${round % 6}`
        const image = makeImage({ layers: [3_000, 2_000], seed })
        const tag = `t${number}-${round}`
        // With such a delay a layer may be collected before its manifest comes; clients then push again.
        const isPushed = await pushImage(rig.url(), repository, image, { tag }).then(
          () => true,
          () => false,
        )
        if (!isPushed) continue
        if (goes) {
          const url = `${rig.url()}/v2/${repository}/manifests/${image.manifest.digest}`
          await fetch(url, { method: 'DELETE' })
          deleted++
        } else kept.set(`${repository}:${tag}`, image)
      }
      moving--
    }

    const lanes = Array.from({ length: LANES }, (_, number) => lane(number))
    let runs = 0
    while (moving > 0 || runs < 3) {
      const { run, findings } = await rig.verify({ deep: true, repair: runs % 2 === 0 })
      expect(findings).toEqual([])
      expect(run).toMatchObject({ state: 'done', faults: 0, notes: 0 })
      isCollecting ||= (await rig.collected()) > 0
      runs++
    }
    await Promise.all(lanes)
    expect(deleted).toBeGreaterThan(LANES)
    expect(isCollecting).toBe(true)
    expect(kept.size).toBeGreaterThan(0)
    for (const [name, image] of kept) {
      const [repository, tag] = name.split(':')
      const manifest = await fetch(`${rig.url()}/v2/${repository}/manifests/${tag}`)
      expect([name, manifest.status]).toEqual([name, 200])
      for (const { digest } of [image.config, ...image.layers]) {
        const answer = await fetch(`${rig.url()}/v2/${repository}/blobs/${digest}`)
        expect([name, digest, answer.status]).toEqual([name, digest, 200])
      }
    }
  })
})
