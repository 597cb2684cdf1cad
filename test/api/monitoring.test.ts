import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createWatch, type Watch } from '../../src/app-watch.ts'
import { createDebugServer } from '../../src/http/debug.ts'
import { type Listener, listen } from '../../src/http/listen.ts'
import { createProbes } from '../../src/http/probes.ts'
import { parseExposition, type Scraped } from '../../src/telemetry/exposition.fixture.ts'
import { startDebianRegistry } from '../clients/debian-registry.ts'
import { freePort } from '../free-port.ts'
import { describeWith } from '../programs.ts'
import { startBerth } from '../start-berth.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { imageManifest, pushBlob, pushManifest } from './content.ts'
import { ask } from './exchange.ts'
import { within } from './live-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-monitoring-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A registry with everything switched on, and its debug server. */
async function startWatched(change: (config: Parameters<NonNullable<StartOptions['change']>>[0]) => void = () => {}) {
  let watch: Watch | undefined
  const registry = await startRegistry({
    change,
    watch(log) {
      watch = createWatch({ log, metered: true })
      return watch
    },
  })
  if (watch === undefined) throw new Error('nothing is watched')
  const { health, lifecycle, metrics } = watch
  lifecycle.start()
  const probes = createProbes({ health, lifecycle, telling: true })
  const debug: Listener = await listen({
    address: { kind: 'tcp', hostname: '127.0.0.1', port: 0 },
    fetch: createDebugServer({ health, probes, metrics, metricsPath: '/metrics' }),
    onError: (error) => registry.log.push(String(error)),
  })
  return {
    ...registry,
    debug: debug.url,
    watch,
    scrape: async () => parseExposition(await (await fetch(`${debug.url}/metrics`)).text()),
    async stop() {
      await debug.stop(0)
      await registry.stop()
    },
  }
}

type StartOptions = NonNullable<Parameters<typeof startRegistry>[0]>

async function get(url: string, init: RequestInit = {}): Promise<[status: number, text: string]> {
  const response = await fetch(url, init)
  return [response.status, await response.text()]
}

/** The same small work for any registry. */
async function work(url: string, port: number): Promise<void> {
  await get(`${url}/v2/`)
  const layer = await uploaded(url, 'layer')
  await uploaded(url, 'config')
  await pushManifest(port, 'team/app', 'v1', imageManifest('config', ['layer']))
  await get(`${url}/v2/team/app/manifests/v1`, { headers: { Accept: 'application/vnd.oci.image.manifest.v1+json' } })
  await get(`${url}/v2/team/app/manifests/none`)
  await get(`${url}/v2/team/app/blobs/${layer}`)
  await get(`${url}/v2/team/app/blobs/${layer}`, { method: 'HEAD' })
  await get(`${url}/v2/team/app/tags/list`)
  await get(`${url}/v2/_catalog`)
}

async function uploaded(url: string, content: string): Promise<string> {
  const started = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', url)
  const digest = `sha256:${new Bun.CryptoHasher('sha256').update(content).digest('hex')}`
  location.searchParams.set('digest', digest)
  const headers = { 'Content-Type': 'application/octet-stream' }
  const [status] = await get(location.href, { method: 'PUT', headers, body: content })
  if (status !== 201) throw new Error(`the upload of ${content} is answered ${status}`)
  return digest
}

describe('what is counted', () => {
  let watched: Awaited<ReturnType<typeof startWatched>>
  let scraped: Scraped
  beforeAll(async () => {
    watched = await startWatched()
    await work(watched.url, watched.port)
    scraped = await watched.scrape()
  })
  afterAll(() => watched.stop())

  test('is each request once, by handler, method and code', () => {
    const requests = [...(scraped.families.get('registry_http_requests_total')?.samples ?? [])]
    expect(requests.map(([sample, value]) => `${sample.replace('registry_http_requests_total', '')} ${value}`)).toEqual(
      [
        '{code="200",handler="base",method="get"} 1',
        '{code="200",handler="blob",method="get"} 1',
        '{code="200",handler="blob",method="head"} 1',
        '{code="200",handler="catalog",method="get"} 1',
        '{code="200",handler="manifest",method="get"} 1',
        '{code="200",handler="tags",method="get"} 1',
        '{code="201",handler="blob_upload_chunk",method="put"} 2',
        '{code="201",handler="manifest",method="put"} 1',
        '{code="202",handler="blob_upload",method="post"} 2',
        '{code="404",handler="manifest",method="get"} 1',
      ],
    )
    expect(scraped.value('registry_http_request_duration_seconds_count{handler="manifest",method="get"}')).toBe(2)
    expect(scraped.value('registry_http_in_flight_requests{handler="manifest"}')).toBe(0)
    const manifest = imageManifest('config', ['layer']).length
    expect(scraped.value('registry_http_response_size_bytes_sum{handler="blob"}')).toBe('layer'.length)
    expect(scraped.value('registry_http_request_size_bytes_sum{handler="manifest"}')).toBeGreaterThan(manifest)
    expect(scraped.value('registry_http_response_size_bytes_sum{handler="manifest"}')).toBeGreaterThan(manifest)
  })

  test('is what is stored, and what storage and database did', () => {
    const values = Object.fromEntries(
      ['berth_repositories', 'berth_tags', 'berth_manifests', 'berth_blobs', 'berth_blobs_bytes', 'berth_uploads'].map(
        (name) => [name, scraped.value(name)],
      ),
    )
    expect(values).toEqual({
      berth_repositories: 1,
      berth_tags: 1,
      berth_manifests: 1,
      berth_blobs: 2,
      berth_blobs_bytes: 'layerconfig'.length,
      berth_uploads: 0,
    })
    expect(scraped.value('registry_storage_action_seconds_count{action="Move",driver="filesystem"}')).toBe(2)
    expect(scraped.value('berth_database_seconds_count{kind="durable"}')).toBeGreaterThanOrEqual(3)
    expect(scraped.value('registry_storage_cache_requests_total')).toBeGreaterThan(0)
    expect(scraped.value(`berth_disk_free_bytes{path="${watched.directory}"}`)).toBeGreaterThan(0)
    expect(scraped.value('process_resident_memory_bytes')).toBeGreaterThan(0)
    expect(scraped.value('berth_health_check{check="database"}')).toBe(1)
  })

  test('is described in docs/monitoring.md, and nothing else is', async () => {
    const text = await Bun.file(join(import.meta.dir, '../../docs/monitoring.md')).text()
    const described = [...text.matchAll(/^\| `((?:registry|berth|process)_\w+)`/gm)].map(([, name]) => name ?? '')
    const missing = [...scraped.families.keys()].filter((name) => !described.includes(name))
    expect(missing).toEqual([])
    expect(described.length).toBe(new Set(described).size)
    // These have samples only where there is something to count.
    const occasional =
      /^(berth_(certificate_expiry|log_mails|database_failures|decisions|trace_spans|quota_(used|limit))|registry_notifications)/
    const unknown = described.filter((name) => !scraped.families.has(name) && !occasional.test(name))
    expect(unknown).toEqual([])
  })

  test('is not at the registry itself, and a made-up method makes no label', async () => {
    expect(await get(`${watched.url}/metrics`)).toEqual([404, '404 page not found\n'])
    await ask(watched.port, 'TRACE', '/v2/')
    const labels = [...(await watched.scrape()).families.values()].flatMap(({ samples }) => [...samples.keys()])
    expect(labels.filter((label) => /trace/i.test(label))).toEqual([])
  })
})

describeWith(['docker-registry'], "Debian's docker-registry after the same work", () => {
  test('has no metric, label or bucket that is not here, too', async () => {
    const port = await freePort()
    const debug = { addr: `127.0.0.1:${port}`, prometheus: { enabled: true, path: '/metrics' } }
    const peer = await startDebianRegistry('none', undefined, { http: { debug } })
    const watched = await startWatched()
    try {
      await work(peer.url, Number(new URL(peer.url).port))
      await work(watched.url, watched.port)
      const theirs = shapes((await get(`http://127.0.0.1:${port}/metrics`))[1])
      const ours = shapes((await get(`${watched.debug}/metrics`))[1])
      // What files Berth has to read, list and write is its own affair: there, only the driver's other words are not used.
      const other = /action="(GetContent|PutContent|List|URLFor|Walk|Delete)"/
      const missing = [...theirs].filter((shape) => !ours.has(shape) && !other.test(shape))
      expect(theirs.size).toBeGreaterThan(200)
      expect(missing).toEqual([])
    } finally {
      await peer.dispose()
      await watched.stop()
    }
  }, 180_000)
})

/** Types, and samples without their values, of distribution's own metrics. */
function shapes(text: string): Set<string> {
  const lines = text.split('\n').filter((line) => /^(# TYPE )?registry_/.test(line))
  return new Set(lines.map((line) => (line.startsWith('#') ? line : line.replace(/ \S+$/, ''))))
}

describe('health', () => {
  test('a file takes the registry out of service, as long as it is there', async () => {
    const file = join(folder, 'down')
    const watched = await startWatched((config) => {
      config.health.files.push({ file, intervalMs: 10, threshold: 1 })
    })
    try {
      const health = () => get(`${watched.debug}/debug/health`)
      expect(await health()).toEqual([200, '{}'])
      expect(await get(`${watched.url}/v2/`)).toEqual([200, '{}'])
      writeFileSync(file, '')
      await within('the file is seen', health, ([status]) => status === 503)
      expect(await health()).toEqual([503, JSON.stringify({ [file]: 'file exists' })])
      const detail = 'health check failed: please see /debug/health'
      const errors = [{ code: 'UNAVAILABLE', message: 'service unavailable', detail }]
      for (const path of ['/', '/v2/', '/v2/team/app/tags/list', '/none']) {
        const [status, text] = await get(watched.url + path)
        expect([path, status, JSON.parse(text)]).toEqual([path, 503, { errors }])
      }
      expect(await get(`${watched.url}/livez`)).toEqual([200, 'ok\n'])
      expect(await get(`${watched.url}/readyz`)).toEqual([503, 'not ready\n'])
      expect(await get(`${watched.debug}/readyz`)).toEqual([503, `${file}: file exists\n`])
      rmSync(file)
      await within('it is gone', health, ([status]) => status === 200)
      expect((await get(`${watched.url}/v2/`))[0]).toBe(200)
      expect(watched.log.filter((line) => line.includes('health check'))).toHaveLength(2)
    } finally {
      await watched.stop()
    }
  })

  test('a storage that is gone is found', async () => {
    const watched = await startWatched((config) => {
      config.health.storage = { intervalMs: 10, threshold: 2 }
    })
    try {
      rmSync(join(watched.directory, 'berth-uploads'), { recursive: true })
      const [, text] = await within(
        'the storage is missed',
        () => get(`${watched.debug}/debug/health`),
        ([status]) => status === 503,
      )
      expect(text).toContain('"storagedriver_filesystem":"cannot reach')
      expect((await get(`${watched.url}/v2/`))[0]).toBe(503)
    } finally {
      await watched.stop()
    }
  })
})

describe('a server', () => {
  test('answers probes on both listeners, without a login, and says that it stops', async () => {
    const port = await freePort()
    const berth = await startBerth({
      env: {
        REGISTRY_HTTP_DEBUG_ADDR: `127.0.0.1:${port}`,
        REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED: 'true',
        REGISTRY_HTTP_PREFIX: '/deep/',
      },
    })
    const debug = `http://127.0.0.1:${port}`
    try {
      for (const base of [berth.url, debug]) {
        for (const path of ['/livez', '/readyz', '/startupz']) {
          expect(await get(base + path)).toEqual([200, 'ok\n'])
          expect((await get(base + path, { method: 'HEAD' }))[0]).toBe(200)
        }
        expect((await get(`${base}/livez`, { method: 'POST' }))[0]).toBe(405)
      }
      expect((await get(`${berth.url}/deep/v2/`))[0]).toBe(401)
      // No repository can be called so.
      expect((await get(`${berth.url}/deep/v2/livez/tags/list`))[0]).toBe(401)
      parseExposition((await get(`${debug}/metrics`))[1])
      expect((await get(`${debug}/debug/pprof/heap`))[0]).toBe(404)
      expect((await get(`${debug}/debug/vars`))[0]).toBe(404)
      expect((await get(`${debug}/v2/`))[0]).toBe(404)
      expect(await get(debug)).toEqual([200, '/debug/health\n/livez\n/readyz\n/startupz\n/metrics\n'])
      expect(berth.log()).toContain(`msg="debug server listening 127.0.0.1:${port}"`)
      // A request that goes on keeps the server from its end, and the probe says why.
      const socket = connect(Number(new URL(berth.url).port), '127.0.0.1')
      await once(socket, 'connect')
      const head = 'POST /deep/auth HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n'
      await new Promise((sent) => socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n`, sent))
      // What came later is answered, so this request has begun.
      expect((await get(`${berth.url}/livez`))[0]).toBe(200)
      const stopped = berth.stop()
      await within(
        'the probe says that it stops',
        () => get(`${debug}/readyz`),
        ([status, text]) => status === 503 && text === 'the server is stopping\n',
      )
      expect((await get(`${debug}/livez`))[0]).toBe(200)
      expect((await get(`${debug}/startupz`))[0]).toBe(200)
      const answered = once(socket, 'data')
      socket.end('0\r\n\r\n')
      expect(String((await answered)[0])).toStartWith('HTTP/1.1 ')
      expect(await stopped).toBe(0)
    } finally {
      await berth.dispose()
    }
  }, 180_000)

  test('does not start when the address of its debug server is taken', async () => {
    const taken = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    try {
      const env = { REGISTRY_HTTP_DEBUG_ADDR: `127.0.0.1:${taken.port}` }
      const fault = await startBerth({ env }).then(
        () => 'started',
        (error: unknown) => String(error),
      )
      expect(fault).toContain(`cannot listen on 127.0.0.1:${taken.port}: another program does`)
    } finally {
      await taken.stop(true)
    }
  }, 180_000)
})

describe('the log of requests', () => {
  let registry: TestRegistry
  const linesOf = (message: string) =>
    registry.log.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message)
  const since = (lines: number) => registry.log.slice(lines).map((line) => JSON.parse(line) as Record<string, unknown>)

  beforeAll(async () => {
    registry = await startRegistry({ formatter: 'json', level: 'info' })
    await pushBlob(registry.port, 'team/app', 'layer')
  })
  afterAll(() => registry.stop())

  test('has the line and the fields of distribution', () => {
    const [line] = linesOf('response completed')
    expect(line).toEqual({
      'http.request.host': `127.0.0.1:${registry.port}`,
      'http.request.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'http.request.method': 'POST',
      'http.request.remoteaddr': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      'http.request.uri': expect.stringContaining('/v2/team/app/blobs/uploads/?digest=sha256:'),
      'http.response.duration': expect.stringMatching(/^[\d.]+(µs|ms|s)$/),
      'http.response.status': 201,
      'http.response.written': 0,
      'vars.name': 'team/app',
      level: 'info',
      msg: 'response completed',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    })
  })

  test('has an error with its code, message and detail, and the client is told the name of its request', async () => {
    const before = registry.log.length
    const headers = { 'X-Request-Id': 'from-the-proxy.1', 'User-Agent': 'x', Referer: 'http://r/?token=s3cret' }
    const answer = await ask(registry.port, 'GET', '/v2/team/app/manifests/none?password=s3cret', { headers })
    expect(answer.headers['x-request-id']).toBe('from-the-proxy.1')
    expect(since(before)).toEqual([
      expect.objectContaining({
        level: 'error',
        msg: 'response completed with error',
        'err.code': 'manifest unknown',
        'err.message': 'manifest unknown',
        'err.detail': 'unknown tag=none',
        'http.request.id': 'from-the-proxy.1',
        'http.request.referer': 'http://r/?token=***',
        'http.request.uri': '/v2/team/app/manifests/none?password=***',
        'http.request.useragent': 'x',
        'http.response.status': 404,
        'http.response.written': answer.body.length,
        'vars.name': 'team/app',
        'vars.reference': 'none',
      }),
    ])
  })

  test('takes no name that is more than one', async () => {
    for (const name of ['a b', 'x'.repeat(129), '<b>', '"']) {
      const answer = await ask(registry.port, 'GET', '/v2/team/app/manifests/none', {
        headers: { 'X-Request-Id': name },
      })
      expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    }
  })
})

test('without lines for requests, failures of the server and refused credentials are left', async () => {
  const registry = await startRegistry({
    env: { REGISTRY_AUTH: 'token' },
    change(config) {
      config.log.requests = false
    },
  })
  try {
    const before = registry.log.length
    await ask(registry.port, 'GET', '/v2/')
    await ask(registry.port, 'GET', '/v2/', { headers: { Authorization: 'Bearer none' } })
    expect(registry.log.slice(before)).toEqual([
      expect.stringMatching(/level=warning msg="error authorizing context: .*" http\.request\.host=/),
    ])
    expect(registry.log.join('\n')).not.toContain('Bearer')
  } finally {
    await registry.stop()
  }
})
