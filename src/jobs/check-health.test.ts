import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHealth, type Finding } from '../telemetry/health.ts'
import { addressAnswers, fileIsAbsent, goodFor, startChecks, urlAnswers } from './check-health.ts'

const folder = mkdtempSync(join(tmpdir(), 'berth-health-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function findingOf(look: Promise<void>): Promise<string> {
  try {
    await look
    return 'well'
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const forever = new AbortController().signal

test('a look that costs something is good for a time while all is well, and made each time once it has failed', async () => {
  let time = 0
  let looks = 0
  let fault: string | undefined
  const look = goodFor(
    100,
    async () => {
      looks++
      if (fault !== undefined) throw new Error(fault)
    },
    () => time,
  )
  const seen: string[] = []
  const at = async (moment: number, next?: string) => {
    time = moment
    fault = next
    seen.push(`${moment}: ${await findingOf(look())}, ${looks}`)
  }
  await at(0)
  await at(99, 'no space')
  await at(100, 'no space')
  await at(101, 'no space')
  await at(102)
  await at(201, 'no space')
  await at(202)
  expect(seen).toEqual([
    ...['0: well, 1', '99: well, 1', '100: no space, 2', '101: no space, 3', '102: well, 4', '201: well, 4'],
    '202: well, 5',
  ])
  // Whoever looks meanwhile waits for the same one.
  time = 1000
  await Promise.all([look(), look()])
  expect(looks).toBe(6)
})

test('a file that is there is a failure, in the words of distribution', async () => {
  const path = join(folder, 'down')
  expect(await findingOf(fileIsAbsent(path))).toBe('well')
  expect(await findingOf(fileIsAbsent(join(path, 'below/nothing')))).toBe('well')
  writeFileSync(path, '')
  expect(await findingOf(fileIsAbsent(path))).toBe('file exists')
  expect(await findingOf(fileIsAbsent(join(path, 'below')))).toBe('well')
})

describe('a URL', () => {
  const seen: string[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      seen.push(`${request.method} ${request.headers.get('x-a')}`)
      return new Response(null, { status: new URL(request.url).pathname === '/204' ? 204 : 500 })
    },
  })
  afterAll(() => server.stop(true))
  const ask = (path: string, status: number, url = `http://127.0.0.1:${server.port}`) =>
    findingOf(urlAnswers({ url: url + path, headers: { 'X-A': ['b'] }, status }, forever))

  test('is asked with HEAD and its headers, and must answer its status', async () => {
    expect(await ask('/204', 204)).toBe('well')
    expect(await ask('/', 204)).toBe('downstream service returned unexpected status: 500')
    expect(seen).toEqual(['HEAD b', 'HEAD b'])
  })

  test('that nobody answers is a failure', async () => {
    expect(await ask('/', 200, 'http://127.0.0.1:1')).toStartWith('error while checking: ')
  })
})

test('an address must take a connection', async () => {
  const server = createServer((socket) => socket.destroy())
  const { promise, resolve } = Promise.withResolvers<number>()
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    resolve(typeof address === 'object' && address !== null ? address.port : 0)
  })
  const port = await promise
  expect(await findingOf(addressAnswers('127.0.0.1', port, forever))).toBe('well')
  const closed = Promise.withResolvers<void>()
  server.close(() => closed.resolve())
  await closed.promise
  expect(await findingOf(addressAnswers('127.0.0.1', port, forever))).toStartWith(
    `connection to 127.0.0.1:${port} failed: `,
  )
})

describe('a check that is started', () => {
  const common = { name: 'x', stops: 'requests', threshold: 1, timeoutMs: 20 } as const

  test('looks at once and again, and one that hangs has failed, and is not asked twice at a time', async () => {
    const findings: Finding[] = []
    const twice = Promise.withResolvers<void>()
    const health = createHealth({
      onChange(_, finding) {
        findings.push(finding)
        if (findings.length === 2) twice.resolve()
      },
    })
    let running = 0
    let most = 0
    let hangs = true
    const { stop } = startChecks(
      [
        {
          ...common,
          everyMs: 1,
          async look(signal) {
            most = Math.max(most, ++running)
            if (hangs) {
              hangs = false
              await new Promise((resolve) => signal.addEventListener('abort', resolve))
            }
            running--
          },
        },
      ],
      health,
    )
    await twice.promise
    stop()
    expect(findings).toEqual(['no answer within 20 ms', undefined])
    expect([most, running, health.all()]).toEqual([1, 0, []])
  })

  test('that ends while it looks says nothing any more', async () => {
    const health = createHealth()
    const looked = Promise.withResolvers<void>()
    const checks = startChecks(
      [
        {
          ...common,
          everyMs: 60_000,
          async look(signal) {
            await new Promise((resolve) => signal.addEventListener('abort', resolve))
            looked.resolve()
            throw new Error('stopped')
          },
        },
      ],
      health,
    )
    checks.stop()
    await looked.promise
    await Bun.sleep(0)
    expect([health.inService, health.all()]).toEqual([true, []])
  })
})
