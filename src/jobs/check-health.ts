import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import type { CheckOptions, Finding, Health } from '../telemetry/health.ts'

export interface PeriodicCheck extends CheckOptions {
  name: string
  everyMs: number
  /** Milliseconds after which it has failed. */
  timeoutMs: number
  /** @throws Error whose text is the finding. */
  look: (signal: AbortSignal) => Promise<void>
}

/** Looks at once, and then again and again, never twice at the same time. */
export function startChecks(checks: readonly PeriodicCheck[], health: Health): { stop(): void } {
  const stops = checks.map((check) => startCheck(check, health))
  return {
    stop() {
      for (const stop of stops) stop()
    },
  }
}

function startCheck(check: PeriodicCheck, health: Health): () => void {
  const registered = health.add(check.name, check)
  const controller = new AbortController()
  let isBusy = false

  async function run(): Promise<void> {
    if (isBusy) return
    isBusy = true
    const finding = await findingOf(check, controller.signal)
    isBusy = false
    if (!controller.signal.aborted) registered.report(finding)
  }

  const timer = setInterval(() => void run(), check.everyMs)
  timer.unref()
  void run()
  return () => {
    clearInterval(timer)
    controller.abort()
    registered.remove()
  }
}

async function findingOf({ look, timeoutMs }: PeriodicCheck, stopped: AbortSignal): Promise<Finding> {
  const late = Promise.withResolvers<never>()
  const controller = new AbortController()
  const timer = setTimeout(() => {
    late.reject(new Error(`no answer within ${timeoutMs} ms`))
    controller.abort()
  }, timeoutMs)
  timer.unref()
  try {
    await Promise.race([look(AbortSignal.any([controller.signal, stopped])), late.promise])
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    clearTimeout(timer)
  }
}

/**
 * A look that costs something: while it finds nothing it is good for so many milliseconds; what it found is looked at again each time.
 * One at a time, however long it takes. `elapsed`: milliseconds of a clock that is never set back.
 */
export function goodFor(
  ms: number,
  look: () => Promise<void>,
  elapsed: () => number = () => performance.now(),
): () => Promise<void> {
  let wellAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined
  return async () => {
    if (elapsed() - wellAt < ms) return
    looking ??= look().finally(() => {
      looking = undefined
    })
    await looking
    wellAt = elapsed()
  }
}

/** distribution's `health.file`: somebody makes the file to take the registry out of service. */
export async function fileIsAbsent(path: string): Promise<void> {
  try {
    await stat(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ENOTDIR') return
    throw new Error(`cannot be looked for (${String(code ?? error)})`)
  }
  throw new Error('file exists')
}

/** distribution's `health.http`: HEAD must answer that status. */
export async function urlAnswers(
  { url, headers, status }: { url: string; headers: Record<string, string[]>; status: number },
  signal: AbortSignal,
): Promise<void> {
  const pairs = Object.entries(headers).flatMap(([name, values]) =>
    values.map((value): [string, string] => [name, value]),
  )
  let response: Response
  try {
    response = await fetch(url, { method: 'HEAD', headers: pairs, signal })
  } catch (error) {
    throw new Error(`error while checking: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (response.status !== status) throw new Error(`downstream service returned unexpected status: ${response.status}`)
}

/** distribution's `health.tcp`: somebody must take a connection. */
export async function addressAnswers(hostname: string, port: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect(port, hostname)
  const abort = () => socket.destroy(new Error('no answer in time'))
  signal.addEventListener('abort', abort)
  socket.once('connect', () => resolve())
  socket.once('error', (error) => reject(new Error(`connection to ${hostname}:${port} failed: ${error.message}`)))
  try {
    await promise
  } finally {
    signal.removeEventListener('abort', abort)
    socket.destroy()
  }
}
