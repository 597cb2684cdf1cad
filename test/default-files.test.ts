import { describe, expect, test } from 'bun:test'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Berth, startBerth } from './start-berth.ts'

const fixture = (name: string) => Bun.file(join(import.meta.dir, '../src/config/fixtures', name)).text()

async function withBerth(
  options: Parameters<typeof startBerth>[0],
  use: (berth: Berth) => Promise<void>,
): Promise<void> {
  const berth = await startBerth(options)
  try {
    await use(berth)
  } finally {
    await berth.dispose()
  }
}

describe('the default files of the originals start unchanged, with warnings alone', () => {
  const rows: [string, string, number, string[]][] = [
    ["Debian's package (whose htpasswd path is a folder)", 'debian.yml', 401, ['htpasswd.path']],
    ['the official image of registry 2', 'image-2.yml', 200, ['no authentication']],
    [
      'the official image of registry 3',
      'image-3.yml',
      200,
      ['storage.tag', 'http.debug.addr', 'debug server listening', 'no authentication'],
    ],
  ]
  test.each(rows)(
    '%s',
    async (_, file, status, named) => {
      await withBerth({ config: (await fixture(file)).replace('addr: :5001', 'addr: 0.0.0.0:0') }, async (berth) => {
        expect((await fetch(`${berth.url}/v2/`)).status).toBe(status)
        const log = berth.log()
        expect(log).not.toContain('error:')
        for (const words of named) expect(log).toContain(words)
      })
    },
    180_000,
  )
})

test('repositories that registry:2 wrote are not passed over in silence', async () => {
  await withBerth({ env: { REGISTRY_AUTH: 'none' } }, async (berth) => {
    mkdirSync(join(berth.dataDirectory, 'docker/registry/v2/repositories/app'), { recursive: true })
    await berth.stop()
    const again = await startBerth({ env: { REGISTRY_AUTH: 'none' }, dataDirectory: berth.dataDirectory })
    try {
      expect(again.log()).toContain('they are adopted now')
    } finally {
      await again.dispose()
    }
  })
}, 180_000)
