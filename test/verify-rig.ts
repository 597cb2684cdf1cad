import { Database } from 'bun:sqlite'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, systemClock } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import type { CollectionStatusView } from '../src/http/api/collection-schemas.ts'
import type { FindingView, VerifyReportView, VerifyRunView } from '../src/http/api/verification-schemas.ts'
import { createLog } from '../src/telemetry/log.ts'
import { startRegistry, type TestRegistry } from './start-registry.ts'

/** A data directory that is looked at while a server runs on it, and while none does. */
export interface VerifyRig {
  directory: string
  /** Of the running registry. @throws Error while it is stopped. */
  url(): string
  /** Runs a statement on the database, past its foreign keys, as no program does. */
  damage(sql: string): void
  verify(mode: { deep?: boolean; repair?: boolean }): Promise<{ run: VerifyRunView; findings: FindingView[] }>
  /** Blobs that the running registry has collected so far. */
  collected(): Promise<number>
  start(): Promise<void>
  stop(): Promise<void>
  dispose(): Promise<void>
}

const ENV = { REGISTRY_STORAGE_DELETE_ENABLED: 'true' }

export async function openVerifyRig(
  now: () => number = Date.now,
  more: Record<string, string> = {},
): Promise<VerifyRig> {
  const given = { ...ENV, ...more }
  const directory = mkdtempSync(join(tmpdir(), 'berth-verify-'))
  let registry: TestRegistry | undefined
  const start = async () => {
    registry = await startRegistry({ directory, env: given, now })
  }
  const stop = async () => {
    await registry?.stop()
    registry = undefined
  }
  await start()
  return {
    directory,
    url() {
      if (registry === undefined) throw new Error('no registry runs')
      return registry.url
    },
    damage(sql) {
      using database = new Database(join(directory, 'berth.db'))
      database.run('PRAGMA foreign_keys = OFF')
      database.run('PRAGMA busy_timeout = 60000')
      database.run(sql)
    },
    async verify(mode) {
      if (registry !== undefined) return await verifyBy(registry.app.control, mode)
      const env = { REGISTRY_AUTH: 'none', ...given }
      const { config } = loadConfig({ env, flags: { addr: '127.0.0.1:0', data: directory } })
      if (config === undefined) throw new Error('no configuration')
      const log = createLog({ level: 'error', formatter: 'text', fields: {}, now, write() {} })
      const app = await createApp(config, {
        ...{ ...systemClock, now, log, onPassword: async () => {}, background: false },
      })
      try {
        return await verifyBy(app.control, mode)
      } finally {
        await app.close()
      }
    },
    async collected() {
      if (registry === undefined) throw new Error('no registry runs')
      const answer = await registry.app.control(new Request('http://berth/api/v1/gc'))
      return ((await answer.json()) as CollectionStatusView).collected.blob.count
    },
    start,
    stop,
    async dispose() {
      await stop()
      rmSync(directory, { recursive: true })
    },
  }
}

async function verifyBy(
  control: (request: Request) => Promise<Response>,
  mode: { deep?: boolean; repair?: boolean },
): Promise<{ run: VerifyRunView; findings: FindingView[] }> {
  const ask = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const headers = { 'Content-Type': 'application/json' }
    const init = { method, ...(body === undefined ? {} : { headers, body: JSON.stringify(body) }) }
    const answer = await control(new Request(`http://berth/api/v1${path}`, init))
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }
  await ask('POST', '/verify/runs', { ...mode, rate: 0 })
  const findings: FindingView[] = []
  for (;;) {
    const { run, findings: page } = await ask<VerifyReportView>('GET', `/verify/runs/latest?from=${findings.length}`)
    findings.push(...page)
    if (run.state !== 'running' && page.length === 0) return { run, findings }
    await Bun.sleep(1)
  }
}
