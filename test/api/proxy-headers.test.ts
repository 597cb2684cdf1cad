import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../../src/config/config.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { startRegistry, type TestRegistry } from '../start-registry.ts'
import { bytesOf, imageManifest, must, nextOf } from './content.ts'
import { type Ask, ask } from './exchange.ts'
import { createIssuer, type Issuer, trusting } from './issuer.ts'

async function withRegistry(change: (config: Config) => void, work: (port: number) => Promise<void>): Promise<void> {
  const registry = await startRegistry({ change })
  try {
    await work(registry.port)
  } finally {
    await registry.stop()
  }
}

describe('the URLs of answers begin as the client sees the registry', () => {
  let registry: TestRegistry
  beforeAll(async () => {
    registry = await startRegistry()
  })
  afterAll(() => registry.stop())

  const rows: [string, Record<string, string | string[]>, string][] = [
    ['the Host', { Host: 'registry.example' }, 'http://registry.example'],
    ['the Host with a port', { Host: 'registry.example:8443' }, 'http://registry.example:8443'],
    ['an IPv6 address', { Host: '[::1]:5000' }, 'http://[::1]:5000'],
    ['TLS that ends at the proxy', { Host: 'r.example', 'X-Forwarded-Proto': 'https' }, 'https://r.example'],
    ['TLS, in capitals', { Host: 'r.example', 'X-Forwarded-Proto': 'HTTPS' }, 'https://r.example'],
    ['the first of several proxies', { Host: 'r', 'X-Forwarded-Proto': 'https, http' }, 'https://r'],
    ['a host that the proxy names', { Host: 'inner:5000', 'X-Forwarded-Host': 'r.example' }, 'http://r.example'],
    [
      'both',
      { Host: 'inner', 'X-Forwarded-Host': 'r.example:444, x', 'X-Forwarded-Proto': 'https' },
      'https://r.example:444',
    ],
    [
      'Forwarded (RFC 7239)',
      { Host: 'inner', Forwarded: 'for=1.2.3.4;proto=https;host="r.example:444"' },
      'https://r.example:444',
    ],
    [
      'Forwarded, its first element',
      { Host: 'inner', Forwarded: 'host=r.example;proto=https, host=x;proto=http' },
      'https://r.example',
    ],
    [
      'Forwarded before X-Forwarded',
      { Host: 'inner', Forwarded: 'host=r.example', 'X-Forwarded-Host': 'x', 'X-Forwarded-Proto': 'https' },
      'https://r.example',
    ],
    [
      'a scheme that is none is not believed',
      { Host: 'r.example', 'X-Forwarded-Proto': 'javascript' },
      'http://r.example',
    ],
    [
      'a host that is none is not believed',
      { Host: 'r.example', 'X-Forwarded-Host': 'evil/path?' },
      'http://r.example',
    ],
    [
      'a host with an account is not believed',
      { Host: 'r.example', 'X-Forwarded-Host': 'user@evil' },
      'http://r.example',
    ],
    ['Forwarded that is garbage is not believed', { Host: 'r.example', Forwarded: ';;==,"' }, 'http://r.example'],
    [
      'empty headers say nothing',
      { Host: 'r.example', 'X-Forwarded-Host': '', 'X-Forwarded-Proto': '' },
      'http://r.example',
    ],
  ]
  test.each(rows)('%s', async (_, headers, base) => {
    const answer = await ask(registry.port, 'POST', '/v2/app/blobs/uploads/', { headers, body: '' })
    expect(answer.status).toBe(202)
    expect(answer.headers.location).toMatch(/\/v2\/app\/blobs\/uploads\/[0-9a-f-]{36}$/)
    expect(answer.headers.location?.slice(0, -'/v2/app/blobs/uploads/'.length - 36)).toBe(base)
  })
})

describe('configured', () => {
  const proxy = { Host: 'inner', 'X-Forwarded-Host': 'outer', 'X-Forwarded-Proto': 'https' }
  const rows: [string, (config: Config) => void, string, string][] = [
    [
      'http.host beats every header',
      (config) => {
        config.http.host = 'https://registry.example:8443'
      },
      '/',
      'https://registry.example:8443/',
    ],
    [
      'http.host with a slash at its end',
      (config) => {
        config.http.host = 'https://registry.example/'
      },
      '/',
      'https://registry.example/',
    ],
    [
      'http.relativeurls leaves the host out',
      (config) => {
        config.http.relativeUrls = true
      },
      '/',
      '/',
    ],
    [
      'http.host beats http.relativeurls',
      (config) => {
        config.http.relativeUrls = true
        config.http.host = 'https://r.example'
      },
      '/',
      'https://r.example/',
    ],
    [
      'http.prefix stands before /v2/',
      (config) => {
        config.http.prefix = '/some/where/'
      },
      '/some/where/',
      'https://outer/some/where/',
    ],
    [
      'http.prefix with http.relativeurls',
      (config) => {
        config.http.prefix = '/x/'
        config.http.relativeUrls = true
      },
      '/x/',
      '/x/',
    ],
    [
      'http.prefix with http.host',
      (config) => {
        config.http.prefix = '/x/'
        config.http.host = 'https://r.example'
      },
      '/x/',
      'https://r.example/x/',
    ],
  ]
  test.each(rows)('%s', async (_, change, prefix, base) => {
    await withRegistry(change, async (port) => {
      const digest = digestOf(bytesOf('config'))
      const send = (method: string, path: string, options: Ask = {}) =>
        ask(port, method, `${prefix}${path}`, { ...options, headers: { ...proxy, ...options.headers } })
      const begun = await must(202, send('POST', 'v2/app/blobs/uploads/', { body: '' }))
      const place = begun.headers.location ?? ''
      expect(place).toStartWith(`${base}v2/app/blobs/uploads/`)
      // The place leads back, by its path alone.
      const path = new URL(place, 'http://x').pathname
      const status = await must(204, ask(port, 'GET', path, { headers: proxy }))
      expect(status.headers.location).toBe(place)
      const stored = await must(201, ask(port, 'PUT', `${path}?digest=${digest}`, { body: 'config', headers: proxy }))
      expect(stored.headers.location).toBe(`${base}v2/app/blobs/${digest}`)
      const headers = { 'Content-Type': 'application/vnd.oci.image.manifest.v1+json' }
      for (const tag of ['a', 'b']) {
        const put = await must(
          201,
          send('PUT', `v2/app/manifests/${tag}`, { body: imageManifest('config', []), headers }),
        )
        expect(put.headers.location).toBe(`${base}v2/app/manifests/${digestOf(bytesOf(imageManifest('config', [])))}`)
      }
      const next = nextOf(await must(200, send('GET', 'v2/app/tags/list?n=1')))
      expect(next).toBe(`${prefix}v2/app/tags/list?last=a&n=1`)
      expect((await ask(port, 'GET', next ?? '')).text).toBe('{"name":"app","tags":["b"]}\n')
    })
  })

  test('outside of http.prefix there is nothing', async () => {
    const change = (config: Config) => {
      config.http.prefix = '/registry/'
    }
    await withRegistry(change, async (port) => {
      expect((await ask(port, 'GET', '/registry/v2/')).text).toBe('{}')
      for (const path of ['/v2/', '/registry', '/registryv2/', '/registry/', '/registry/x/v2/']) {
        expect([path, (await ask(port, 'GET', path)).status]).toEqual([path, 404])
      }
    })
  })
})

describe('the realm of a challenge', () => {
  let folder: string
  let issuer: Issuer
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-test-'))
    issuer = await createIssuer(join(folder, 'issuer'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const rows: [string, (config: Config) => void, Record<string, string>, string][] = [
    ['is what the configuration says', () => {}, { Host: 'r.example' }, 'https://localhost:5001/auth'],
    ['is made from the Host', realmOfRequest, { Host: 'r.example:5000' }, 'http://r.example:5000/auth'],
    [
      'is made from what the proxy says',
      realmOfRequest,
      { Host: 'inner', 'X-Forwarded-Host': 'r.example', 'X-Forwarded-Proto': 'https' },
      'https://r.example/auth',
    ],
    [
      'is made from Forwarded',
      realmOfRequest,
      { Host: 'inner', Forwarded: 'proto=https;host=r.example' },
      'https://r.example/auth',
    ],
    [
      'is made from http.host',
      (config) => {
        realmOfRequest(config)
        config.http.host = 'https://r.example'
      },
      { Host: 'x' },
      'https://r.example/auth',
    ],
    [
      'is absolute though URLs are relative',
      (config) => {
        realmOfRequest(config)
        config.http.relativeUrls = true
      },
      { Host: 'x' },
      'http://x/auth',
    ],
    [
      'has the prefix',
      (config) => {
        realmOfRequest(config)
        config.http.prefix = '/p/'
      },
      { Host: 'x' },
      'http://x/p/auth',
    ],
  ]
  test.each(rows)('%s', async (_, change, headers, realm) => {
    const registry = await startRegistry({ env: trusting(issuer, join(folder, 'root.pem')), change })
    try {
      const path = realm.includes('/p/') ? '/p/v2/' : '/v2/'
      const answer = await ask(registry.port, 'GET', path, { headers })
      expect(answer.status).toBe(401)
      expect(answer.headers['www-authenticate']).toBe(`Bearer realm="${realm}",service="Docker registry"`)
    } finally {
      await registry.stop()
    }
  })

  test('cannot be made without a Host, which is said', async () => {
    const registry = await startRegistry({ env: trusting(issuer, join(folder, 'root.pem')), change: realmOfRequest })
    try {
      const answer = await ask(registry.port, 'GET', '/v2/', { headers: { Host: 'bad host' } })
      expect(answer).toMatchObject({ status: 400, text: 'Bad Request: the Host header is missing or malformed\n' })
    } finally {
      await registry.stop()
    }
  })
})

function realmOfRequest(config: Config): void {
  if (config.auth.kind === 'token') config.auth.realm = undefined
}

describe('the address of whoever asks for a token (http.trustedproxies)', () => {
  const addressSeen = async (trustedProxies: string[]): Promise<string | undefined> => {
    const registry = await startRegistry({
      env: { REGISTRY_AUTH: 'token' },
      change: (config) => {
        config.http.trustedProxies = trustedProxies
      },
    })
    try {
      await fetch(`${registry.url}/auth?service=s`, { headers: { 'X-Forwarded-For': '198.51.100.7' } })
      return registry.log.map((line) => / address=(\S+)/.exec(line)?.[1]).find((address) => address !== undefined)
    } finally {
      await registry.stop()
    }
  }

  test('is what a trusted proxy forwards', async () => {
    expect(await addressSeen(['127.0.0.0/8'])).toBe('198.51.100.7')
  })

  test('is that of the connection where nobody is trusted', async () => {
    expect(await addressSeen([])).toBe('127.0.0.1')
  })
})
