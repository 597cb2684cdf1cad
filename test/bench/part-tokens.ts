import { join } from 'node:path'
import { runLoad } from './generator.ts'
import { GOALS } from './goals.ts'
import { basic } from './load-requests.ts'
import type { Bench } from './part.ts'
import { guessing } from './part-tokens-guessing.ts'
import { machineSeconds } from './process-figures.ts'
import { type Server, startTokenServer } from './servers.ts'
import { tokenServerConfig } from './settings.ts'
import {
  checkFreshness,
  expectAudited,
  hashAt,
  PASSWORD,
  signatureMicroseconds,
  TOKEN_PATH,
  type TokenKey,
  tokenKeys,
} from './tokens.ts'
import { hammer } from './wrk.ts'

const CONNECTIONS = 16
const PART = 'Tokens (Basic auth, over TLS keep-alive, 16 connections)'
const ROUNDS = 3
/** bcrypt cost, with as many users as take the machine a moment. */
const COSTS = [
  { cost: 5, users: 512 },
  { cost: 10, users: 64 },
]

/** One way to run the token server. */
interface Variant {
  key: TokenKey
  /** With a data directory every decision is a row and a line of JSON; without one, a line of the log. */
  withData: boolean
}

/**
 * Tokens a second, for users who come for the first time (the password is checked) and for one who comes again; then what
 * somebody waits for whose token server strangers try passwords at.
 */
export async function tokens(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const users = new Map<string, string>()
  for (const { cost, users: count } of COSTS) {
    const { hash, milliseconds, how } = await hashAt(bench, cost)
    for (const name of namesOf(cost, count)) users.set(name, hash)
    bench.figures.add({ part: PART, name: `bcrypt ${cost}: ${how} (the floor)`, unit: 'ms' }, 'berth', milliseconds)
  }
  const rounds = bench.quick ? 1 : Math.min(bench.rounds, ROUNDS)
  for (let round = 1; round <= rounds; round++) {
    for (const variant of variantsOf(bench)) {
      bench.progress(`${describe(variant)}, round ${round} of ${rounds}`)
      await measure(bench, variant, users, round === 1)
    }
  }
  await guessing(bench, users.get('user10-0') ?? '')
}

function variantsOf(bench: Bench): Variant[] {
  const both = bench.quick ? [true] : [true, false]
  return both.flatMap((withData) => tokenKeys(bench.credentials).map((key) => ({ key, withData })))
}

function describe({ key, withData }: Variant): string {
  return `${key.name}, ${withData ? 'audit rows and lines' : 'audit in the log'}`
}

function namesOf(cost: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `user${cost}-${index}`)
}

async function measure(
  bench: Bench,
  variant: Variant,
  users: ReadonlyMap<string, string>,
  checks: boolean,
): Promise<void> {
  const { workplace, credentials } = bench
  // Each time anew: it tells how busy the machine is with something else, too.
  const floor = { part: PART, name: `${variant.key.name}: one signature (the floor)`, unit: 'µs' }
  bench.figures.add(floor, 'berth', signatureMicroseconds(variant.key))
  const folder = workplace.folder('disk', 'tokens')
  const data = variant.withData ? join(folder, 'data') : undefined
  const config = tokenServerConfig({ tls: credentials.tls, signing: variant.key.pair, users })
  const server = await startTokenServer(workplace, folder, config, data)
  let issued = 0
  try {
    // Without a data directory only what happens after the password is another thing.
    if (variant.withData) issued += await firstTime(bench, variant, server)
    if (checks) issued += await checkFreshness(server.target, variant.key, basic('user5-0', PASSWORD))
    issued += await again(bench, server, variant, variant.withData ? [5, 10] : [10])
    bench.figures.add({ part: PART, name: describe(variant), unit: 'peak MiB' }, 'berth', server.peakMebibytes())
  } finally {
    await server.stop()
  }
  if (data !== undefined) expectAudited(data, issued)
}

async function firstTime(bench: Bench, variant: Variant, server: Server): Promise<number> {
  let issued = 0
  for (const { cost, users } of COSTS) {
    const requests = namesOf(cost, users).map((name) => ({ path: TOKEN_PATH, authorization: basic(name, PASSWORD) }))
    const { target } = server
    const before = server.cpuSeconds()
    const first = await runLoad(bench.workplace, { kind: 'sequence', target, connections: CONNECTIONS, requests })
    const used = server.cpuSeconds() - before
    const name = `${describe(variant)}: first, bcrypt ${cost}`
    const add = bench.figures.add
    add({ part: PART, name, unit: 'tokens/s' }, 'berth', first.requests / first.seconds)
    add({ part: PART, name, unit: 'p50 ms' }, 'berth', first.latency?.p50 ?? Number.NaN)
    add({ part: PART, name, unit: 'p99 ms' }, 'berth', first.latency?.p99 ?? Number.NaN)
    add({ part: PART, name, unit: 'server CPU ms/token' }, 'berth', (used * 1000) / first.requests)
    issued += first.requests
  }
  return issued
}

async function again(bench: Bench, server: Server, variant: Variant, costs: readonly number[]): Promise<number> {
  let issued = 0
  const { workplace, figures } = bench
  for (const cost of costs) {
    const target = { ...server.target, authorization: basic(`user${cost}-0`, PASSWORD) }
    const options = { target, path: TOKEN_PATH, connections: CONNECTIONS }
    if (issued === 0) issued += (await hammer(workplace, { ...options, seconds: 1 })).requests
    const before = server.cpuSeconds()
    const machine = machineSeconds()
    const repeated = await hammer(workplace, { ...options, seconds: bench.quick ? 1 : 2 })
    const used = server.cpuSeconds() - before
    const name = `${describe(variant)}: repeated, bcrypt ${cost}`
    const goal = variant.key.name === 'P-256' ? GOALS.tokensP256 : GOALS.tokensRsa
    figures.add({ part: PART, name, unit: 'tokens/s', goal }, 'berth', repeated.requestsPerSecond)
    figures.add({ part: PART, name, unit: 'p50 ms' }, 'berth', repeated.p50)
    figures.add({ part: PART, name, unit: 'p99 ms' }, 'berth', repeated.p99)
    figures.add({ part: PART, name, unit: 'server CPU µs/token' }, 'berth', (used * 1e6) / repeated.requests)
    const others = machineSeconds() - machine - used - repeated.clientCpuSeconds
    const share = (100 * others) / (repeated.requests / repeated.requestsPerSecond)
    figures.add({ part: PART, name, unit: 'CPU of all others, % of a core' }, 'berth', share)
    const client = (repeated.clientCpuSeconds * 1e6) / repeated.requests
    figures.add({ part: PART, name, unit: 'client CPU µs/token' }, 'berth', client)
    issued += repeated.requests
  }
  return issued
}
