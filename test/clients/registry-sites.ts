import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makePair } from '../certificates.ts'
import { must, program } from '../programs.ts'
import { type Berth, startBerth } from '../start-berth.ts'
import { startDebianRegistry } from './debian-registry.ts'

/** A registry that runs, and somebody who may do everything there. */
export interface Site {
  /** `host:port`. */
  registry: string
  user: { username: string; password: string } | undefined
  caFile?: string
  dispose(): Promise<void>
}

export const PASSWORD = 'correct horse'

/** Every kind of registry that a client must get along with. */
export const SITES: Record<string, (folder: string) => Promise<Site>> = {
  async 'Berth with its own users, over TLS'(folder) {
    const { certificate, key } = await makePair(folder)
    const env = {
      BERTH_ADMIN_PASSWORD: PASSWORD,
      REGISTRY_HTTP_TLS_CERTIFICATE: certificate,
      REGISTRY_HTTP_TLS_KEY: key,
    }
    const berth = await startBerth({ env, args: ['--addr', '127.0.0.1:0'] })
    return { ...siteOf(berth), caFile: certificate }
  },
  async "docker-registry with Berth's token server"() {
    const berth = await startBerth({ env: { BERTH_ADMIN_PASSWORD: PASSWORD } })
    const debian = await startDebianRegistry({
      token: {
        realm: `${berth.url}/auth`,
        service: 'Berth',
        issuer: 'Berth',
        rootcertbundle: join(berth.dataDirectory, 'berth-token.crt'),
      },
    })
    return {
      registry: debian.host,
      user: { username: 'admin', password: PASSWORD },
      async dispose() {
        await debian.dispose()
        await berth.dispose()
      },
    }
  },
  async 'docker-registry with htpasswd'(folder) {
    const path = join(folder, 'htpasswd')
    writeFileSync(path, await must([program('htpasswd'), '-Bbn', 'admin', PASSWORD]))
    const debian = await startDebianRegistry({ htpasswd: { realm: 'Registry Realm', path } })
    return { registry: debian.host, user: { username: 'admin', password: PASSWORD }, dispose: debian.dispose }
  },
  async 'docker-registry that is open'() {
    const debian = await startDebianRegistry('none')
    return { registry: debian.host, user: undefined, dispose: debian.dispose }
  },
}

function siteOf(berth: Berth): Site {
  const user = { username: 'admin', password: PASSWORD }
  return { registry: `127.0.0.1:${berth.port}`, user, dispose: berth.dispose }
}
