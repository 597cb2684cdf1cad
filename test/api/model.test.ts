import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Algorithm, digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, imageManifest, must, placeOf, pushBlob, putManifest } from './content.ts'
import { ask } from './exchange.ts'

/** Random walks through the API, compared step by step with what the specification says must be seen. */

const env = { REGISTRY_STORAGE_DELETE_ENABLED: 'true' }
let directory: string
let registry: TestRegistry
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'berth-test-'))
  registry = await startRegistry({ directory, env })
})
afterAll(async () => {
  await registry.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function restart(): Promise<void> {
  await registry.stop()
  registry = await startRegistry({ directory, env })
}

const send = (method: string, path: string, options = {}) => ask(registry.port, method, path, options)

let walks = 0

describe('an upload', () => {
  const bytes = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 })
  const algorithm = fc.constantFrom<Algorithm>('sha256', 'sha512')
  type Step =
    | { do: 'append'; bytes: string; range: 'none' | 'right' | 'wrong'; chunked: boolean; algorithm: Algorithm }
    | { do: 'finish'; bytes: string; digest: 'right' | 'wrong' | 'garbage'; algorithm: Algorithm }
    | { do: 'look' }
    | { do: 'cancel' }
    | { do: 'restart' }
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        do: fc.constant('append' as const),
        bytes,
        range: fc.constantFrom('none' as const, 'right' as const, 'wrong' as const),
        chunked: fc.boolean(),
        algorithm,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('finish' as const),
        bytes,
        digest: fc.constantFrom('right' as const, 'wrong' as const, 'garbage' as const),
        algorithm,
      }),
    },
    { weight: 3, arbitrary: fc.constant({ do: 'look' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'cancel' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  )

  test('has what was sent, and ends as it should', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const name = `walk/u${walks++}`
        const place = placeOf(await must(202, send('POST', `/v2/${name}/blobs/uploads/`)))
        let content: string | undefined = ''
        for (const now of steps) {
          if (now.do === 'restart') await restart()
          else if (content === undefined) {
            const gone = await send(now.do === 'finish' ? 'PUT' : 'GET', `${place}?digest=${digestOf(bytesOf('x'))}`)
            expect(gone.status).toBe(404)
          } else content = await take(name, place, content, now)
        }
        if (content !== undefined) await must(204, send('DELETE', place))
      }),
      { numRuns: 60, seed: 7, endOnFailure: true },
    )
  }, 180_000)

  async function take(
    name: string,
    place: string,
    content: string,
    now: Exclude<Step, { do: 'restart' }>,
  ): Promise<string | undefined> {
    switch (now.do) {
      case 'look': {
        const answer = await must(204, send('GET', place))
        expect(answer.headers.range).toBe(`0-${Math.max(0, content.length - 1)}`)
        return content
      }
      case 'cancel':
        await must(204, send('DELETE', place))
        return undefined
      case 'append': {
        const hasRange = now.range !== 'none' && now.bytes !== ''
        const start = content.length + (now.range === 'wrong' ? 1 : 0)
        const headers = hasRange ? { 'Content-Range': `${start}-${start + now.bytes.length - 1}` } : {}
        const body = now.chunked ? [...now.bytes] : now.bytes
        const answer = await send('PATCH', `${place}?digest-algorithm=${now.algorithm}`, { body, headers })
        const isRefused = hasRange && now.range === 'wrong'
        expect(answer.status).toBe(isRefused ? 416 : 202)
        const after = isRefused ? content : content + now.bytes
        expect(answer.headers.range).toBe(`0-${Math.max(0, after.length - 1)}`)
        return after
      }
      case 'finish': {
        const whole = bytesOf(content + now.bytes)
        const right = digestOf(whole, now.algorithm)
        const other = digestOf(bytesOf('other'), now.algorithm)
        const digest = now.digest === 'right' ? right : now.digest === 'wrong' ? other : 'sha256:x'
        const answer = await send('PUT', `${place}?digest=${digest}`, { body: now.bytes })
        expect(answer.status).toBe(now.digest === 'right' ? 201 : 400)
        const found = await send('GET', `/v2/${name}/blobs/${right}`)
        expect(found.status).toBe(now.digest === 'right' ? 200 : 404)
        if (now.digest === 'right') expect(found.body.equals(whole)).toBe(true)
        return now.digest === 'garbage' ? content : undefined
      }
      default:
        return now satisfies never
    }
  }
})

describe('a repository', () => {
  const TAGS = ['a', 'b', 'c']
  const TEXTS = [0, 1, 2].map((index) => imageManifest('config', ['layer'], { annotations: { n: String(index) } }))
  const DIGESTS = TEXTS.map((text) => digestOf(bytesOf(text)))
  const tag = fc.constantFrom(...TAGS)
  const manifest = fc.nat({ max: TEXTS.length - 1 })
  type Step =
    | { do: 'tag'; tag: string; more: string[]; manifest: number }
    | { do: 'put' | 'delete'; manifest: number }
    | { do: 'untag'; tag: string }
    | { do: 'restart' }
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constant('tag' as const), tag, more: fc.array(tag, { maxLength: 2 }), manifest }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('put' as const, 'delete' as const), manifest }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('untag' as const), tag }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  )

  test('shows what was put and not deleted, whichever way it is asked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const name = `walk/m${walks++}`
        for (const content of ['config', 'layer']) await pushBlob(registry.port, name, content)
        const stored = new Set<number>()
        const tags = new Map<string, number>()
        for (const now of steps) {
          switch (now.do) {
            case 'restart':
              await restart()
              break
            case 'tag': {
              const query = now.more.map((more) => `tag=${more}`).join('&')
              await must(201, putManifest(registry.port, name, `${now.tag}?${query}`, TEXTS[now.manifest] ?? ''))
              stored.add(now.manifest)
              for (const each of [now.tag, ...now.more]) tags.set(each, now.manifest)
              break
            }
            case 'put':
              await must(201, putManifest(registry.port, name, DIGESTS[now.manifest] ?? '', TEXTS[now.manifest] ?? ''))
              stored.add(now.manifest)
              break
            case 'delete': {
              const wasThere = stored.delete(now.manifest)
              await must(wasThere ? 202 : 404, send('DELETE', `/v2/${name}/manifests/${DIGESTS[now.manifest]}`))
              for (const [each, target] of tags) if (target === now.manifest) tags.delete(each)
              break
            }
            case 'untag':
              await must(tags.delete(now.tag) ? 202 : 404, send('DELETE', `/v2/${name}/manifests/${now.tag}`))
              break
            default:
              now satisfies never
          }
          await compare(name, stored, tags)
        }
      }),
      { numRuns: 40, seed: 11, endOnFailure: true },
    )
  }, 180_000)

  async function compare(name: string, stored: ReadonlySet<number>, tags: ReadonlyMap<string, number>): Promise<void> {
    const listed = await must(200, send('GET', `/v2/${name}/tags/list`))
    expect(listed.text).toBe(`${JSON.stringify({ name, tags: [...tags.keys()].sort() })}\n`)
    for (const [index, digest] of DIGESTS.entries()) {
      const answer = await send('GET', `/v2/${name}/manifests/${digest}`)
      expect(answer.status).toBe(stored.has(index) ? 200 : 404)
      if (stored.has(index)) expect(answer.text).toBe(TEXTS[index] ?? '')
    }
    for (const each of TAGS) {
      const target = tags.get(each)
      const answer = await send('GET', `/v2/${name}/manifests/${each}`)
      expect(answer.headers['docker-content-digest'] as string).toBe(
        (target === undefined ? undefined : DIGESTS[target]) as string,
      )
    }
    const catalog = await must(200, send('GET', '/v2/_catalog?n=1000'))
    expect((JSON.parse(catalog.text) as { repositories: string[] }).repositories.includes(name)).toBe(stored.size > 0)
    const layer = await send('DELETE', `/v2/${name}/blobs/${digestOf(bytesOf('layer'))}`)
    // While a manifest is there its layer cannot go; when the last is gone it can, and comes back for the next.
    expect(layer.status).toBe(stored.size > 0 ? 403 : 202)
    if (stored.size === 0) await pushBlob(registry.port, name, 'layer')
  }
})
