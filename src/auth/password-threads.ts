import { workerUrl } from '../threads/worker-program.ts'
import { UnavailableError } from './authenticator.ts'
import type { PasswordReply, PasswordRequest } from './password-worker.ts'

/** The slow comparison. @throws UnavailableError when its thread died. */
export type VerifyPassword = (password: Uint8Array, hash: string) => Promise<boolean>

/**
 * Threads that do nothing but check passwords. The runtime's own would do it on the few threads that also sign tokens with
 * RSA and open files: two strangers who guess would then hold up everybody for the time of a check. Each is started when
 * first needed, and again after it died. `script` is for tests.
 */
export function createPasswordThreads(count: number, script = workerUrl('auth/password-worker')): VerifyPassword {
  const threads = Array.from({ length: count }, () => createThread(script))
  return (password, hash) => {
    const idlest = threads.reduce((best, thread) => (thread.busy() < best.busy() ? thread : best))
    return idlest.verify(password, hash)
  }
}

interface Thread {
  /** Checks that have not ended. */
  busy(): number
  verify: VerifyPassword
}

interface Pending {
  resolve(right: boolean): void
  reject(error: UnavailableError): void
}

function createThread(script: URL): Thread {
  const pending = new Map<number, Pending>()
  let worker: Worker | undefined
  let calls = 0

  function die(dead: Worker): void {
    if (dead !== worker) return
    worker = undefined
    dead.terminate()
    for (const { reject } of pending.values()) reject(new UnavailableError('the password could not be checked'))
    pending.clear()
  }

  function start(): Worker {
    const fresh = new Worker(script)
    fresh.onmessage = ({ data: { call, right } }: MessageEvent<PasswordReply>) => {
      const answered = pending.get(call)
      pending.delete(call)
      // Only a thread with work to do keeps the process alive.
      if (pending.size === 0) fresh.unref()
      answered?.resolve(right)
    }
    fresh.onerror = (event) => {
      event.preventDefault()
      die(fresh)
    }
    fresh.addEventListener('close', () => die(fresh))
    return fresh
  }

  return {
    busy: () => pending.size,
    verify(password, hash) {
      worker ??= start()
      const call = ++calls
      const { promise, resolve, reject } = Promise.withResolvers<boolean>()
      pending.set(call, { resolve, reject })
      if (pending.size === 1) worker.ref()
      worker.postMessage({ call, password, hash } satisfies PasswordRequest)
      return promise
    },
  }
}
