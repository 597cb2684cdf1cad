import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { ask } from './exchange.ts'

/** What work that can wait knows of the clients. */

let registry: TestRegistry
beforeAll(async () => {
  registry = await startRegistry()
})
afterAll(() => registry.stop())

const rows: [string, string, string, number][] = [
  ['a request of a client counts', 'GET', '/v2/', 1],
  ['one that is refused counts', 'GET', '/v2/app/manifests/none', 1],
  ['one to the token server counts', 'GET', '/auth', 1],
  ['a probe, which comes every few seconds, does not', 'GET', '/livez', 0],
]
test.each(rows)('%s', async (_, method, path, counted) => {
  const before = registry.app.traffic.arrivals
  await ask(registry.port, method, path)
  expect(registry.app.traffic.arrivals - before).toBe(counted)
})

test('the control socket, where administrators ask how far a collection is, does not', async () => {
  const before = registry.app.traffic.arrivals
  await registry.app.control(new Request('http://berth/api/v1/gc'))
  expect(registry.app.traffic.arrivals).toBe(before)
})
