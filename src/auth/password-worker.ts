import { getPriority, setPriority } from 'node:os'

/** A thread that checks passwords, one after the other; `password-threads.ts` is the other end. */
declare const self: Worker

export interface PasswordRequest {
  call: number
  password: Uint8Array
  hash: string
}

export interface PasswordReply {
  call: number
  right: boolean
}

/** Nice values above the main thread's. */
const YIELDING = 5

yieldToMainThread()

self.onmessage = ({ data: { call, password, hash } }: MessageEvent<PasswordRequest>) => {
  self.postMessage({ call, right: isRight(password, hash) } satisfies PasswordReply)
}

/** What the verifier cannot read (a cost out of range, a damaged digest) is the hash of no password. */
function isRight(password: Uint8Array, hash: string): boolean {
  try {
    return Bun.password.verifySync(password, hash)
  } catch {
    return false
  }
}

/** Strangers who try passwords get what the others leave. On Linux, 0 is the calling thread alone. */
function yieldToMainThread(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(0, Math.min(19, getPriority(0) + YIELDING))
  } catch {
    // A sandbox may forbid it; it is only a courtesy.
  }
}
