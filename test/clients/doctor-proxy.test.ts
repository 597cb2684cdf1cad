import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { createServer, request, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { MEANINGS } from '../../src/doctor/finding.ts'
import { describeWith } from '../programs.ts'
import { startBerth } from '../start-berth.ts'
import { type Clinic, expectFound, expectOnly, openClinic } from './clinic.ts'

/** A small proxy, as people configure bigger ones. */
interface Ways {
  /** The Host header that the registry sees, in place of what the client sent. */
  host?: string
  /** Bytes of a body. */
  limit?: number
  /** A body is taken in whole before anything is passed on. */
  buffers?: boolean
}

describeWith(['docker-registry'], 'berth doctor finds a proxy that', () => {
  let clinic: Clinic

  beforeAll(async () => {
    clinic = await openClinic()
  })
  afterEach(() => clinic.clear())
  afterAll(() => clinic.dispose())

  /** `localhost:PORT` of a proxy before the registry at a port. */
  async function proxy(target: number, ways: Ways): Promise<string> {
    const server = createServer((incoming, outgoing) => {
      const refuse = () => {
        outgoing
          .writeHead(413, { 'Content-Type': 'text/html', Connection: 'close' })
          .end('<h1>413 Request Entity Too Large')
      }
      if (ways.limit !== undefined && Number(incoming.headers['content-length'] ?? 0) > ways.limit) return refuse()
      const pass = (body: Buffer | undefined) => {
        const headers = { ...incoming.headers, host: ways.host ?? incoming.headers.host }
        const onward = request(
          { host: '127.0.0.1', port: target, method: incoming.method, path: incoming.url, headers },
          (answer) => {
            outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
            answer.pipe(outgoing)
          },
        )
        onward.on('error', () => end(outgoing))
        if (body === undefined) incoming.pipe(onward)
        else onward.end(body)
        if (body === undefined) onward.flushHeaders()
      }
      if (!ways.buffers) return pass(undefined)
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('end', () => pass(Buffer.concat(chunks)))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    clinic.own({
      dispose: async () => {
        server.closeAllConnections()
        server.close()
      },
    })
    const address = server.address()
    return `localhost:${typeof address === 'object' ? address?.port : 0}`
  }

  const end = (outgoing: ServerResponse) => {
    if (!outgoing.headersSent) outgoing.writeHead(502)
    outgoing.end()
  }

  const behind = async (ways: Ways) => {
    const site = await clinic.start()
    const host = await proxy(Number(site.registry.split(':')[1]), ways)
    return { ...site, host, examined: await clinic.asAdmin([`${host}/team/app`, '--config', site.configFile]) }
  }

  test('does none of these: nothing', async () => {
    const { examined } = await behind({})
    expectOnly(examined)
    expect(examined.findings.find(({ id }) => id === 'proxy')?.message).toBe(
      'takes bodies of 10 GiB, passes them on at once, and sends uploads to the name that clients use',
    )
  })

  test('rewrites Host, so that uploads are sent elsewhere', async () => {
    const { examined, host, configFile } = await behind({ host: 'registry.internal:5000' })
    expectOnly(examined, 'proxy-rewrites-host')
    const says = new RegExp(
      `uploads are sent to http://registry.internal:5000, and clients came to http://${host}: a proxy rewrites the Host header`,
    )
    const fix = expectFound(examined, { severity: 'fault', id: 'proxy-rewrites-host', says })
    expect(fix[0]).toContain('proxy_set_header Host $http_host;')
    expect(fix[1]).toBe(`${configFile}:5: add http.host: http://${host}`)
    expect(fix[2]).toBe(`or ${configFile}:5: add http.relativeurls: true`)
    // Whoever asks for no trace gets none, and no such finding.
    expectOnly(await clinic.asAdmin([`${host}/team/app`, '--read-only']))
  })

  test('rewrites Host before Berth, which then sends clients elsewhere for tokens, too', async () => {
    const berth = clinic.own(await startBerth({ env: { BERTH_ADMIN_PASSWORD: 'a-password' } }))
    const host = await proxy(berth.port, { host: 'localhost:1' })
    const examined = await clinic.doctor([`${host}/team/app`, '--user', 'admin', '--password-stdin'], 'a-password')
    expectOnly(examined, 'realm-unreachable')
    const says = /sends clients to http:\/\/localhost:1\/auth for tokens, and that cannot be reached from here/
    const fix = expectFound(examined, { severity: 'fault', id: 'realm-unreachable', says })
    expect(fix.at(-1)).toEndWith(`a proxy that rewrites Host misleads it: http.host: http://${host}`)
  })

  test('limits bodies', async () => {
    const { examined } = await behind({ limit: 50 * 1024 * 1024 })
    expectOnly(examined, 'proxy-limits-body')
    const says = /^a body of 100 MiB is refused \(10 MiB is taken\), .*`413 Request Entity Too Large`$/
    expect(expectFound(examined, { severity: 'fault', id: 'proxy-limits-body', says })[0]).toBe(
      'nginx: client_max_body_size 0;',
    )
  })

  test('buffers bodies', async () => {
    const { examined } = await behind({ buffers: true })
    expectOnly(examined, 'proxy-buffers-body')
    const fix = expectFound(examined, { severity: 'warning', id: 'proxy-buffers-body', says: /takes in a whole body/ })
    expect(fix[0]).toContain('proxy_request_buffering off;')
  })
})

test('each finding is made for real by a test', () => {
  const tests = ['client', 'tokens', 'server', 'proxy'].map((name) =>
    readFileSync(join(import.meta.dir, `doctor-${name}.test.ts`), 'utf8'),
  )
  const made = new Set(
    tests.flatMap((text) =>
      [...text.matchAll(/\bid(?::| ===) '([a-z-]+)'|'((?:certificate|push)-[a-z-]+)'/g)].map(
        ([, one, other]) => one ?? other,
      ),
    ),
  )
  expect(Object.keys(MEANINGS).filter((id) => !made.has(id))).toEqual([])
})
