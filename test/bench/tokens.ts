import { Database } from 'bun:sqlite'
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { jwtVerify } from 'jose'
import type { Pair } from '../certificates.ts'
import { findProgram, must } from '../programs.ts'
import { connect, type Target } from './connection.ts'
import { type Credentials, ISSUER, SERVICE } from './credentials.ts'
import { median } from './figures.ts'
import { type Bench, REPOSITORY } from './part.ts'
import { figureText } from './table.ts'

export const PASSWORD = 'correct horse battery staple'
export const TOKEN_PATH = `/auth?service=${SERVICE}&scope=repository:${REPOSITORY}:pull,push`

/** A key that signs tokens. */
export interface TokenKey {
  name: 'RSA-2048' | 'P-256'
  pair: Pair
}

export function tokenKeys({ rsa, ec }: Credentials): readonly TokenKey[] {
  return [
    { name: 'RSA-2048', pair: rsa },
    { name: 'P-256', pair: ec },
  ]
}

/** Makes the password's hash at a cost, and notes how fast this machine can check it: no first token can be faster. */
export async function hashAt(bench: Bench, cost: number): Promise<{ hash: string; milliseconds: number; how: string }> {
  const htpasswd = findProgram('htpasswd')
  if (htpasswd === undefined) {
    const hash = await Bun.password.hash(PASSWORD, { algorithm: 'bcrypt', cost })
    return { hash, milliseconds: noteLimit(bench, hash, cost), how: 'one check (no htpasswd here)' }
  }
  const line = await must([htpasswd, '-nbB', '-C', String(cost), 'user', PASSWORD])
  const file = join(bench.workplace.folder('disk', 'htpasswd'), 'htpasswd')
  writeFileSync(file, line)
  const times: number[] = []
  for (let turn = 0; turn < 7; turn++) {
    const start = performance.now()
    await must([htpasswd, '-vb', file, 'user', PASSWORD])
    times.push(performance.now() - start)
  }
  const hash = line.trim().replace(/^user:/, '')
  noteLimit(bench, hash, cost)
  return { hash, milliseconds: median(times) ?? Number.NaN, how: 'htpasswd -vb, with its start' }
}

/** Milliseconds of one check. */
function noteLimit(bench: Bench, hash: string, cost: number): number {
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now()
    Bun.password.verifySync(PASSWORD, hash)
    return performance.now() - start
  })
  const milliseconds = median(times) ?? Number.NaN
  const cores = availableParallelism()
  const limit = figureText((1000 / milliseconds) * cores)
  bench.figures.note(
    `bcrypt at cost ${cost} takes ${figureText(milliseconds)} ms in the runtime: ${cores} cores check ${limit} passwords/s at most.`,
  )
  return milliseconds
}

const SIGNATURES = 100

/** Microseconds of one signature of a token's size, on one thread: what no token can cost less than. */
export function signatureMicroseconds({ pair }: TokenKey): number {
  const key = createPrivateKey(readFileSync(pair.key))
  const bytes = Buffer.alloc(2048, 'x')
  const times = Array.from({ length: SIGNATURES }, () => {
    const start = performance.now()
    sign('sha256', bytes, key)
    return (performance.now() - start) * 1000
  })
  return median(times) ?? Number.NaN
}

const SAMPLE_CONNECTIONS = 4
const SAMPLE_EACH = 32

/**
 * Asks for the same token over and over; answers how many it got.
 * @throws Error unless each verifies and has an id and a signature of its own: a token that was kept would be no work.
 */
export async function checkFreshness(target: Target, key: TokenKey, authorization: string): Promise<number> {
  const publicKey = createPublicKey(readFileSync(key.pair.certificate))
  const ids = new Set<string>()
  const signatures = new Set<string>()
  await Promise.all(
    Array.from({ length: SAMPLE_CONNECTIONS }, async () => {
      const connection = await connect({ ...target, authorization })
      for (let turn = 0; turn < SAMPLE_EACH; turn++) {
        const { status, text } = await connection.send({ method: 'GET', path: TOKEN_PATH })
        if (status !== 200) throw new Error(`no token: ${status} ${text}`)
        const { token } = JSON.parse(text) as { token: string }
        const { payload } = await jwtVerify(token, publicKey, { issuer: ISSUER, audience: SERVICE })
        ids.add(payload.jti ?? '')
        signatures.add(token.slice(token.lastIndexOf('.') + 1))
      }
      connection.close()
    }),
  )
  const total = SAMPLE_CONNECTIONS * SAMPLE_EACH
  if (ids.size !== total || signatures.size !== total) {
    throw new Error(`${total} tokens have ${ids.size} ids and ${signatures.size} signatures`)
  }
  return total
}

/** @throws Error unless each of `issued` tokens left a line in the file and a row in the database. */
export function expectAudited(dataDirectory: string, issued: number): void {
  const database = new Database(join(dataDirectory, 'berth.db'), { readonly: true })
  const { rows } = database.query<{ rows: number }, []>('SELECT count(*) AS rows FROM audit').get() ?? { rows: 0 }
  database.close()
  let lines = 0
  for (const name of ['audit.log', 'audit.log.1', 'audit.log.2', 'audit.log.3', 'audit.log.4']) {
    const path = join(dataDirectory, name)
    if (existsSync(path)) lines += countLines(readFileSync(path))
  }
  if (lines < issued) throw new Error(`${issued} tokens left ${lines} lines in the audit file`)
  if (rows < issued) throw new Error(`${issued} tokens left ${rows} rows in the database`)
}

function countLines(bytes: Uint8Array): number {
  let lines = 0
  for (let at = bytes.indexOf(0x0a); at !== -1; at = bytes.indexOf(0x0a, at + 1)) lines++
  return lines
}
