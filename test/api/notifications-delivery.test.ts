import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { freePort } from '../free-port.ts'
import { startReceiver, type WebhookReceiver } from '../receiver.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { imageManifest, pushBlob, pushManifest } from './content.ts'

let receiver: WebhookReceiver
let registry: TestRegistry | undefined
beforeEach(() => {
  receiver = startReceiver()
})
afterEach(async () => {
  await registry?.stop()
  registry = undefined
  await receiver.stop()
})

/** Patient with a machine that is busy: an attempt that is cut short comes again. */
const FAST = { timeout: '10s', threshold: 2, backoff: '10ms', ignore: { actions: ['pull'] } }
const IMAGE = imageManifest('config', [])

const variables = (endpoints: readonly object[]) => ({
  REGISTRY_AUTH: 'none',
  REGISTRY_NOTIFICATIONS_ENDPOINTS: JSON.stringify(
    endpoints.map((one) => ({ name: 'hook', url: receiver.url, ...FAST, ...one })),
  ),
})

async function start(endpoints: readonly object[], now?: () => number): Promise<TestRegistry> {
  registry = await startRegistry({ env: variables(endpoints), ...(now === undefined ? {} : { now }) })
  await pushBlob(registry.port, 'app', 'config')
  return registry
}

const push = (port: number, tag: string) => pushManifest(port, 'app', tag, IMAGE)
const tagsOf = (one: WebhookReceiver) => one.accepted.flatMap(({ event }) => event.target.tag ?? [])

async function untilTagged(one: WebhookReceiver, tag: string): Promise<void> {
  while (!tagsOf(one).includes(tag)) await one.waitFor(one.accepted.length + 1)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 9000 && !(await holds()); i++) await Bun.sleep(10)
  expect(await holds()).toBe(true)
}

/** The admin API, as the control socket has it. */
async function api(method: string, path: string, body?: unknown) {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }
  const request = new Request(`http://berth/api/v1/notifications${path}`, { method, ...json })
  const response = await registry?.app.control(request)
  return { status: response?.status, json: (await response?.json()) as Record<string, unknown> }
}

interface Row {
  id: number
  tag: string | null
  state: string
  endpoint: string
}
const rowsOf = async (query = '') => (await api('GET', `/events${query}`)).json.events as Row[]

function configOf(endpoints: readonly object[]): Config {
  const flags = { addr: '127.0.0.1:0', data: registry?.directory ?? '' }
  const { config, problems } = loadConfig({ env: variables(endpoints), flags })
  if (config === undefined) throw new Error(JSON.stringify(problems))
  return config
}

test('a receiver that fails in every way, and comes back, gets everything in order', async () => {
  let turn = 0
  receiver.answer = async () => {
    switch (turn++ % 4) {
      case 0:
        return new Response('', { status: 500 })
      case 1:
        return undefined
      case 2:
        await Bun.sleep(20)
        return new Response('')
      default:
        return new Response('', { status: 404 })
    }
  }
  const { port } = await start([{ timeout: '200ms' }])
  const tags = Array.from({ length: 8 }, (_, index) => `t${index}`)
  for (const tag of tags) await push(port, tag)
  await untilTagged(receiver, 't7')
  // One whose answer came too late came twice.
  expect([...new Set(tagsOf(receiver))]).toEqual(tags)
})

test('a receiver that is away, and starts later on its port, gets everything', async () => {
  const port = await freePort()
  const running = await start([{ url: `http://127.0.0.1:${port}/hook` }])
  await push(running.port, 'early')
  await until(async () =>
    (await rowsOf('?state=waiting')).some((row) => 'result' in row && row.result === 'connection refused'),
  )
  const late = startReceiver(port)
  try {
    await untilTagged(late, 'early')
  } finally {
    await late.stop()
  }
})

test('an endpoint that hangs delays no other, and no push', async () => {
  const hanging = startReceiver()
  hanging.answer = () => undefined
  try {
    const { port } = await start([{}, { name: 'hanging', url: hanging.url, timeout: '1h' }])
    for (const tag of ['a', 'b', 'c']) await push(port, tag)
    await untilTagged(receiver, 'c')
    await hanging.waitForAttempts(1)
    expect(hanging.received).toHaveLength(1)
    const waiting = (await rowsOf('?endpoint=hanging&state=waiting')).map(({ tag }) => tag)
    expect(waiting).toEqual(['c', 'b', 'a', null])
  } finally {
    await hanging.stop()
  }
})

test('what is given up is listed, shown and redelivered', async () => {
  receiver.answer = ({ event }) => new Response('', { status: event.target.tag === 'poison' ? 422 : 200 })
  const { port, log } = await start([{ maxattempts: 3 }])
  await push(port, 'poison')
  await push(port, 'good')
  await untilTagged(receiver, 'good')
  const [dead, ...none] = await rowsOf('?state=dead')
  if (dead === undefined) throw new Error('nothing was given up')
  expect(none).toEqual([])
  expect(dead).toMatchObject({ tag: 'poison', attempts: 3, result: '422 Unprocessable Entity', retryAt: null })
  expect(log.filter((line) => line.includes('given up'))).toHaveLength(1)
  const shown = await api('GET', `/events/${dead.id}`)
  expect(shown.json.notification).toEqual(
    receiver.received.find(({ event }) => event.target.tag === 'poison')?.event as never,
  )

  receiver.answer = () => new Response('')
  const again = await api('POST', `/events/${dead.id}/redeliver`)
  expect([again.status, again.json]).toMatchObject([202, { state: 'waiting', attempts: 0 }])
  await untilTagged(receiver, 'poison')
  expect(
    new Set(receiver.received.flatMap(({ event }) => (event.target.tag === 'poison' ? [event.id] : []))).size,
  ).toBe(1)
  await until(async () => (await rowsOf('?state=delivered')).some(({ tag }) => tag === 'poison'))
})

test('all that was given up for an endpoint is redelivered at once, in order', async () => {
  receiver.answer = () => new Response('', { status: 500 })
  const { port } = await start([{ maxattempts: 1, ignore: { mediatypes: ['application/octet-stream'] } }])
  const tags = ['a', 'b', 'c']
  for (const tag of tags) await push(port, tag)
  await until(async () => (await rowsOf('?state=dead')).length === 3)
  receiver.answer = () => new Response('')
  const { status, json } = await api('POST', '/redeliver', { endpoint: 'hook' })
  expect([status, json]).toEqual([202, { queued: 3 }])
  await untilTagged(receiver, 'c')
  expect(tagsOf(receiver)).toEqual(tags)
  expect((await api('POST', '/redeliver', { endpoint: 'other' })).status).toBe(404)
})

test('what cannot be redelivered is refused', async () => {
  receiver.answer = () => undefined
  const { port } = await start([{ timeout: '1h' }])
  await push(port, 'v1')
  const [row] = await rowsOf('?state=waiting')
  expect(await api('POST', `/events/${row?.id}/redeliver`)).toMatchObject({ status: 409 })
  expect(await api('POST', '/events/999999/redeliver')).toMatchObject({ status: 404 })
  expect(await api('GET', '/events/999999')).toMatchObject({ status: 404 })
  expect(await api('GET', '/events/x')).toMatchObject({ status: 400 })
  expect(await api('GET', '/events?state=lost')).toMatchObject({ status: 400 })
  expect(await api('POST', '/redeliver', {})).toMatchObject({ status: 400 })
})

test('a test tells what the endpoint answers, past the queue', async () => {
  await start([
    { headers: { Authorization: ['Bearer x'] } },
    { name: 'off', url: 'http://127.0.0.1:1/x?y=z', disabled: true },
  ])
  await until(async () => (await rowsOf('?state=delivered')).length === 1)
  expect((await api('POST', '/endpoints/hook/test')).json).toMatchObject({
    accepted: true,
    status: 200,
    result: '200 OK',
  })
  const { event, headers } = (await receiver.waitFor(2))[1] ?? {}
  expect([event?.action, headers?.authorization]).toEqual(['test', 'Bearer x'])
  expect((await api('POST', '/endpoints/off/test')).json).toMatchObject({
    ...{ accepted: false, status: null },
    result: 'connection refused',
  })
  expect(await api('POST', '/endpoints/none/test')).toMatchObject({ status: 404 })
  expect((await api('GET', '/endpoints')).json.endpoints).toEqual([
    {
      ...{ name: 'hook', origin: new URL(receiver.url).origin, disabled: false },
      ...{ waiting: 0, delivered: 1, dead: 0, failures: 0, retryAt: null },
    },
    {
      ...{ name: 'off', origin: 'http://127.0.0.1:1', disabled: true },
      ...{ waiting: 0, delivered: 0, dead: 0, failures: null, retryAt: null },
    },
  ])
})

test('a reload tries at once with what is configured now; what waits for an endpoint that is gone is dropped, and said', async () => {
  const other = startReceiver()
  other.answer = () => new Response('', { status: 500 })
  receiver.answer = () => new Response('', { status: 500 })
  try {
    const slow = { threshold: 1, backoff: '1h' }
    const { port, app, log } = await start([slow, { name: 'other', url: other.url, ...slow }])
    await push(port, 'a')
    // The refusals have come back: from now on both wait for an hour.
    const hasFailed = async () =>
      (await rowsOf('?state=waiting')).filter((row) => 'result' in row && row.result).length === 2
    await until(hasFailed)
    receiver.answer = () => new Response('')
    other.answer = () => new Response('')
    await app.reconfigure(configOf([slow, { name: 'new', url: other.url }]))
    await untilTagged(receiver, 'a')
    expect(other.accepted).toEqual([])
    expect(log.filter((line) => line.includes('not configured any more'))).toHaveLength(1)
    expect((await rowsOf()).filter(({ endpoint }) => endpoint === 'other')).toEqual([])
    // A new endpoint begins with what happens from now on.
    await push(port, 'b')
    await untilTagged(other, 'b')
    expect(tagsOf(other)).toEqual(['b'])
    await untilTagged(receiver, 'b')

    await app.reconfigure(configOf([{ disabled: true }]))
    await push(port, 'c')
    await app.reconfigure(configOf([{}]))
    await push(port, 'd')
    await untilTagged(receiver, 'd')
    expect(tagsOf(receiver)).toEqual(['a', 'b', 'd'])
  } finally {
    await other.stop()
  }
})

test('what was delivered can be looked at for a day, what was given up for a month', async () => {
  let time = Date.now()
  receiver.answer = ({ event }) => new Response('', { status: event.target.tag === 'bad' ? 500 : 200 })
  const { port, app } = await start([{ maxattempts: 1 }], () => time)
  await push(port, 'bad')
  await push(port, 'good')
  await until(async () => (await rowsOf('?state=waiting')).length === 0)
  const tags = async () => (await rowsOf()).map(({ tag }) => tag)
  time += 23 * 3_600_000
  await app.pruneNotifications()
  expect(await tags()).toEqual(['good', 'bad', null])
  time += 2 * 3_600_000
  await app.pruneNotifications()
  expect(await tags()).toEqual(['bad'])
  time += 30 * 24 * 3_600_000
  await app.pruneNotifications()
  expect(await tags()).toEqual([])
})

test('metrics count as the original names them', async () => {
  receiver.answer = ({ event }) => new Response('', { status: event.target.tag === 'bad' ? 500 : 200 })
  const { port, app } = await start([{ maxattempts: 1 }, { name: 'deaf', ignore: { actions: ['push'] } }])
  await push(port, 'bad')
  await push(port, 'good')
  await until(async () => (await rowsOf('?state=waiting')).length === 0)
  const lines = (await app.metrics.expose()).split('\n').filter((line) => line.startsWith('registry_notifications_'))
  expect(lines.sort()).toEqual([
    'registry_notifications_events_total{endpoint="hook",type="Events"} 3',
    'registry_notifications_events_total{endpoint="hook",type="Failures"} 1',
    'registry_notifications_events_total{endpoint="hook",type="Successes"} 2',
    'registry_notifications_pending_total{endpoint="deaf"} 0',
    'registry_notifications_pending_total{endpoint="hook"} 0',
    'registry_notifications_status_total{code="200 OK",endpoint="hook"} 2',
    'registry_notifications_status_total{code="500 Internal Server Error",endpoint="hook"} 1',
  ])
})

test('neither the log nor the API tells of headers or of what the URL holds', async () => {
  receiver.answer = () => new Response('', { status: 500 })
  const url = `${receiver.url.replace('http://', 'http://me:hidden-1@')}/hidden-2?key=hidden-3`
  const { port, log } = await start([{ url, headers: { Authorization: ['hidden-4'] }, maxattempts: 2 }])
  await push(port, 'a')
  await until(async () => (await rowsOf('?state=dead')).length === 2)
  const told = JSON.stringify([log, await api('GET', '/endpoints'), await api('GET', '/events')])
  expect(told).toContain('hook')
  expect(told.match(/hidden-\d/g)).toBeNull()
})
