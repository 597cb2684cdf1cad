import type { X509Certificate } from 'node:crypto'
import { type Managed, openManaged } from './app-certificates.ts'
import type { Listen, TlsConfig } from './config/config.ts'
import { createChallengeServer, type SecurePlace } from './http/challenge-server.ts'
import { type Listener, listen } from './http/listen.ts'
import { type Renewal, startRenewing } from './jobs/renew-certificates.ts'
import type { Log } from './telemetry/log.ts'

/** Certificates that Berth keeps itself, for the listeners of one process. */
export interface CertificateKeeper {
  /** Makes ready what a configuration asks for. Resolves to what puts it in force. @throws Error with a text for the user; what was before stays. */
  prepare(wanted: readonly SecureListen[]): Promise<() => void>
  /** The files that a listener is opened with: those of the operator, the kept ones, or a placeholder until they come. */
  filesOf(tls: TlsConfig | undefined): TlsConfig | undefined
  /** Begins to look after them; `onNew` gives each new certificate to its listeners. */
  start(onNew: () => Promise<void>): void
  /** Makes all of them anew. @throws Error with a text for the user, also where there are none. */
  renew(): Promise<void>
  /** Of the first certificate that is of Berth's own authority. */
  authority(): X509Certificate | undefined
  stop(drainMs: number): Promise<void>
}

/** A listener that a configuration asks for. */
export interface SecureListen {
  tls: TlsConfig | undefined
  listen: Listen | undefined
}

export function createCertificateKeeper(deps: { log: Log; now: () => number }): CertificateKeeper {
  const { log, now } = deps
  const answers = new Map<string, string>()
  const challenges = {
    set: (token: string, answer: string) => void answers.set(token, answer),
    remove: (token: string) => void answers.delete(token),
  }
  /** By what the configuration says of them. */
  let kept = new Map<string, Managed>()
  let places: SecurePlace[] = []
  const doors = new Map<string, Listener>()
  let renewal: Renewal | undefined

  async function openDoor(address: Listen): Promise<void> {
    const key = JSON.stringify(address)
    if (doors.has(key)) return
    const fetch = createChallengeServer({ answerTo: (token) => answers.get(token), places: () => places })
    const onError = (error: unknown) => log.error('a request for a challenge failed', { error })
    try {
      doors.set(key, await listen({ address, setting: 'letsencrypt.httpaddr', fetch, onError }))
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new Error(`the challenges of Let's Encrypt come by plain HTTP to port 80, but Berth ${reason}`, {
        cause: error,
      })
    }
  }

  function warn(): void {
    for (const { own } of kept.values()) {
      const warning = own?.warning()
      if (warning !== undefined) log.warn(warning)
    }
  }

  return {
    async prepare(wanted) {
      const next = new Map<string, Managed>()
      const nextPlaces: SecurePlace[] = []
      const nextDoors: Listen[] = []
      for (const { tls, listen: address } of wanted) {
        if (!isManaged(tls)) continue
        const key = JSON.stringify([tls.certificate, tls.managed])
        const opened = next.get(key) ?? kept.get(key) ?? (await openManaged(tls, { challenges, log, now }))
        next.set(key, opened)
        if (tls.managed.kind === 'auto') continue
        await openDoor(tls.managed.httpAddr)
        nextDoors.push(tls.managed.httpAddr)
        nextPlaces.push({ hosts: tls.managed.hosts, port: portOf(address) })
      }
      return () => {
        kept = next
        places = nextPlaces
        const open = new Set(nextDoors.map((address) => JSON.stringify(address)))
        for (const [key, door] of doors) {
          if (open.has(key)) continue
          doors.delete(key)
          void door.stop(0)
        }
        warn()
        for (const { certificate } of kept.values()) {
          if (certificate.isReady()) continue
          const message = 'there is no certificate yet: until it comes, clients are shown one that none trusts'
          log.warn(message, { file: certificate.file })
        }
        void renewal?.run()
      }
    },
    filesOf(tls) {
      if (!isManaged(tls)) return tls
      const managed = kept.get(JSON.stringify([tls.certificate, tls.managed]))
      if (managed?.placeholder === undefined || managed.certificate.isReady()) return tls
      return { ...tls, certificate: managed.placeholder, key: managed.placeholder }
    },
    start(onNew) {
      renewal = startRenewing({
        certificates: () => [...kept.values()].map(({ certificate }) => certificate),
        async onNew() {
          warn()
          await onNew()
        },
        log,
        now,
      })
    },
    async renew() {
      if (kept.size === 0) {
        throw new Error(
          'the certificates of this server are not made by Berth; it reads their files again when they change',
        )
      }
      if (renewal === undefined) throw new Error('the server is still starting')
      await renewal.force()
    },
    authority: () => [...kept.values()].find(({ own }) => own !== undefined)?.own?.authority,
    async stop(drainMs) {
      await renewal?.stop()
      await Promise.all([...doors.values()].map((door) => door.stop(drainMs)))
    },
  }
}

function isManaged(tls: TlsConfig | undefined): tls is TlsConfig & { managed: NonNullable<TlsConfig['managed']> } {
  return tls?.managed !== undefined
}

function portOf(address: Listen | undefined): string {
  return address?.kind !== 'tcp' || address.port === 443 ? '' : `:${address.port}`
}
