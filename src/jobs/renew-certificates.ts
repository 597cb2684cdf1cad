import type { Log } from '../telemetry/log.ts'
import type { ManagedCertificate } from '../tls/managed.ts'
import { type Periodic, startPeriodic } from './periodic.ts'

/** A new address of the machine is noticed within this time; looking costs next to nothing. Milliseconds. */
const EVERY_MS = 30_000
const HOUR_MS = 3_600_000

export interface Renewal extends Omit<Periodic, 'look'> {
  /** Makes all of them anew at once. @throws Error of the first that could not be had; the others are new. */
  force(): Promise<void>
}

/**
 * Looks every now and then whether a certificate is due, and tells of each that is another now. What fails is logged, and
 * the certificate before stays. The first look is at once.
 */
export function startRenewing(options: {
  certificates: () => readonly ManagedCertificate[]
  onNew: (certificate: ManagedCertificate) => Promise<void>
  log: Log
  now: () => number
  everyMs?: number
}): Renewal {
  const { certificates, onNew, log, now, everyMs = EVERY_MS } = options
  let told = { message: '', at: 0 }
  const ending = new AbortController()
  /** One at a time for each, for both would write the same file. */
  let turn: Promise<unknown> = Promise.resolve()

  async function tend(certificate: ManagedCertificate, force: boolean): Promise<void> {
    if (ending.signal.aborted) return
    if (await certificate.tend({ force, signal: ending.signal })) await onNew(certificate)
  }

  const periodic = startPeriodic({
    everyMs,
    failure: 'looking after certificates failed',
    log,
    async work() {
      await inTurn(async () => {
        const results = await Promise.allSettled(certificates().map((one) => tend(one, false)))
        for (const result of results) if (result.status === 'rejected') report(result.reason)
      })
    },
  })

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = turn.then(work)
    turn = mine.catch(() => undefined)
    return mine
  }

  /** A full disk fails each time: once an hour is enough to hear of it. */
  function report(reason: unknown): void {
    if (ending.signal.aborted) return
    const message = `no new certificate: ${reason instanceof Error ? reason.message : String(reason)}`
    if (message === told.message && now() < told.at + HOUR_MS) return
    told = { message, at: now() }
    log.error(message)
  }

  return {
    run: periodic.run,
    force: () =>
      inTurn(async () => {
        const results = await Promise.allSettled(certificates().map((one) => tend(one, true)))
        const failed = results.find((result) => result.status === 'rejected')
        if (failed !== undefined) throw failed.reason
      }),
    async stop() {
      ending.abort()
      await periodic.stop()
      await turn
    },
  }
}
