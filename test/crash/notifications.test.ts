import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MEDIA_TYPES } from '../../src/oci/media-type.ts'
import { imageManifest } from '../api/content.ts'
import { startReceiver } from '../receiver.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { createRandom, seedOf } from './random.ts'

const KILLS = 10
const TIMEOUT = 300_000

test(
  `${KILLS} kill -9 between pushes and their delivery lose no notification, nor the order of any`,
  async () => {
    const random = createRandom(seedOf('notifications'))
    const folder = mkdtempSync(join(tmpdir(), 'berth-notifications-'))
    const dataDirectory = join(folder, 'data')
    const [good, bad] = [startReceiver(), startReceiver()]
    // One accepts, hangs or refuses as it likes; the other takes nothing before the last server.
    let isOver = false
    good.answer = () => {
      const luck = random.below(4)
      if (isOver || luck > 1) return new Response('')
      return luck === 0 ? undefined : new Response('', { status: 503 })
    }
    bad.answer = () => (isOver ? new Response('') : new Response('', { status: 500 }))
    const envOf = (timeout: string) => {
      const fast = { timeout, threshold: 2, backoff: '20ms', ignore: { actions: ['pull'] } }
      const endpoints = [
        { name: 'good', url: good.url, ...fast },
        { name: 'bad', url: bad.url, ...fast },
      ]
      return {
        REGISTRY_AUTH: 'none',
        REGISTRY_LOG_ACCESSLOG_DISABLED: 'true',
        REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify(endpoints),
      }
    }
    /** Tags in the order of their acknowledgements, and all that were ever sent. */
    const acknowledged: string[] = []
    const sent = new Set<string>()
    const manifest = imageManifest('config', [])
    const push = async (url: string, tag: string) => {
      sent.add(tag)
      const headers = { 'Content-Type': MEDIA_TYPES.ociManifest }
      const answer = await fetch(`${url}/v2/app/manifests/${tag}`, { method: 'PUT', headers, body: manifest }).catch(
        () => undefined,
      )
      if (answer?.status === 201) acknowledged.push(tag)
    }
    let berth: Berth | undefined
    try {
      for (let round = 0; round < KILLS; round++) {
        const running = await startBerth({ dataDirectory, env: envOf('150ms') })
        berth = running
        if (round === 0) {
          const { digest } = JSON.parse(manifest).config as { digest: string }
          await fetch(`${running.url}/v2/app/blobs/uploads/?digest=${digest}`, { method: 'POST', body: 'config' })
        }
        const pushes = 1 + random.below(8)
        for (let i = 0; i < pushes; i++) await push(running.url, `r${round}-${i}`)
        // However late a busy machine delivers, one of the servers lives to be refused.
        if (round === 0) await bad.waitForAttempts(1)
        // Whether the last one is acknowledged is the kill's to decide.
        const last = push(running.url, `r${round}-last`)
        await Bun.sleep(random.below(10))
        await running.kill()
        await last
        await running.dispose()
      }
      isOver = true
      // Nothing hangs any more: whatever is late now is so for a busy machine.
      berth = await startBerth({ dataDirectory, env: envOf('60s') })
      await push(berth.url, 'last')
      for (const receiver of [good, bad]) {
        const tags = () => receiver.accepted.flatMap(({ event }) => event.target.tag ?? [])
        while (!tags().includes('last')) await receiver.waitFor(receiver.accepted.length + 1)
        // Repeated ones come again in their order: the first time that each was accepted tells.
        const first = [...new Set(tags())]
        expect(first.filter((tag) => acknowledged.includes(tag))).toEqual(acknowledged)
        expect(first.filter((tag) => !sent.has(tag))).toEqual([])
      }
      expect(acknowledged.length).toBeGreaterThan(KILLS)
      // The test has seen something: the one that refused had everything still to come.
      expect(bad.received.length).toBeGreaterThan(bad.accepted.length)
      expect(await berth.stop()).toBe(0)
    } finally {
      await berth?.dispose()
      await Promise.all([good.stop(), bad.stop()])
      rmSync(folder, { recursive: true, force: true })
    }
  },
  TIMEOUT,
)
