import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, placeOf, pushBlob } from './content.ts'
import { ask } from './exchange.ts'
import { uploadsOn } from './expectations.ts'

let registry: TestRegistry
let port: number
beforeAll(async () => {
  registry = await startRegistry()
  port = registry.port
})
afterAll(() => registry.stop())

const { expectProgress, expectCreated, expectBlob } = uploadsOn(() => port)

describe('"Mounting a blob from another repository" (end-11)', () => {
  const digest = digestOf(bytesOf('to mount'))
  beforeAll(async () => {
    await pushBlob(port, 'mount/source', 'to mount')
  })

  test.each([
    ['from the repository that has it', 'from=mount/source'],
    ['from an encoded name', 'from=mount%2Fsource'],
    ['without from, from any (an open registry may read all)', ''],
    ['with an unknown parameter besides', 'from=mount/source&origin=x'],
  ])('%s', async (row, query) => {
    const target = `mount/to-${digestOf(bytesOf(row)).slice(7, 15)}`
    const answer = await ask(port, 'POST', `/v2/${target}/blobs/uploads/?mount=${digest}&${query}`, { body: '' })
    expectCreated(answer, digest, target)
    await expectBlob(digest, 'to mount', target)
  })

  test('from itself, where it has the blob', async () => {
    const query = `mount=${digest}&from=mount/source`
    expectCreated(await ask(port, 'POST', `/v2/mount/source/blobs/uploads/?${query}`), digest, 'mount/source')
  })

  test.each([
    ['from itself, where it has it not', `mount=${digest}&from=mount/target`],
    ['from a repository without it', `mount=${digest}&from=mount/empty`],
    ['from a name that is no name', `mount=${digest}&from=NO/NAME`],
    ['from nothing', `mount=${digest}&from=`],
    ['of a digest that nobody has', `mount=sha256:${'0'.repeat(64)}&from=mount/source`],
    ['of a digest that nobody has, without from', `mount=sha256:${'0'.repeat(64)}`],
    ['of a digest that is none', 'mount=latest&from=mount/source'],
    ['of nothing', 'mount=&from=mount/source'],
    ['from, but of nothing', 'from=mount/source'],
  ])('%s begins an upload instead', async (_, query) => {
    const answer = await ask(port, 'POST', `/v2/mount/target/blobs/uploads/?${query}`)
    expectProgress(answer, 202, placeOf(answer), '0-0')
    expect((await ask(port, 'HEAD', `/v2/mount/target/blobs/${digest}`)).status).toBe(404)
  })

  test('with a digest besides: what cannot be mounted is taken from the body', async () => {
    const fresh = digestOf(bytesOf('fresh'))
    const query = `mount=${fresh}&from=mount/source&digest=${fresh}`
    expectCreated(
      await ask(port, 'POST', `/v2/mount/body/blobs/uploads/?${query}`, { body: 'fresh' }),
      fresh,
      'mount/body',
    )
    await expectBlob(fresh, 'fresh', 'mount/body')
  })
})
