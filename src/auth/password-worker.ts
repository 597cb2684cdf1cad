import { giveWay } from '../threads/give-way.ts'

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

// Strangers who try passwords get what the others leave.
giveWay()

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
