import { availableParallelism } from 'node:os'
import { freePort } from '../start-berth.ts'
import type { Target } from './connection.ts'
import { SERVICE } from './credentials.ts'
import { median } from './figures.ts'
import { runLoad } from './generator.ts'
import { type Bench, REPOSITORY, withServer } from './part.ts'
import { tokenServerConfig } from './settings.ts'
import { figureText } from './table.ts'
import { hammer } from './wrk.ts'

const CONNECTIONS = 16
const PASSWORD = 'correct horse battery staple'
const PATH = `/auth?service=${SERVICE}&scope=repository:${REPOSITORY}:pull,push`
const PART = 'Tokens (Basic auth, over TLS keep-alive)'
/** bcrypt cost, with as many users as take the machine about a second. */
const COSTS = [
  { cost: 5, users: 600 },
  { cost: 10, users: 40 },
]

/** Tokens a second: for users who come for the first time (the password is checked), and for one who comes again. */
export async function tokens(bench: Bench): Promise<void> {
  if (!bench.servers.includes('berth')) return
  const { rsa, ec, tls } = bench.credentials
  for (const { cost, users: count } of COSTS) {
    const hash = await Bun.password.hash(PASSWORD, { algorithm: 'bcrypt', cost })
    noteFloor(bench, hash, cost)
    const users = new Map(Array.from({ length: count }, (_, index) => [`user${index}`, hash]))
    for (const [keyName, signing] of [
      ['RSA-2048', rsa],
      ['P-256', ec],
    ] as const) {
      for (let round = 1; round <= Math.min(bench.rounds, 3); round++) {
        bench.progress(`bcrypt ${cost}, ${keyName}, round ${round}`)
        const port = await freePort()
        const authConfig = tokenServerConfig({ port, tls, signing, users })
        await withServer(bench, { name: 'berth', medium: 'disk', access: 'token', authConfig }, async () => {
          const target: Target = { host: '127.0.0.1', port, tls: true }
          const requests = [...users.keys()].map((name) => ({ path: PATH, authorization: basic(name) }))
          const first = await runLoad(bench.workplace, { kind: 'sequence', target, connections: CONNECTIONS, requests })
          const again = { ...target, authorization: basic('user0') }
          await hammer(bench.workplace, { target: again, path: PATH, connections: CONNECTIONS, seconds: 1 })
          const options = { target: again, path: PATH, connections: CONNECTIONS, seconds: bench.quick ? 2 : 3 }
          const repeated = await hammer(bench.workplace, options)
          const name = `${keyName}, bcrypt ${cost}`
          const add = bench.figures.add
          add({ part: PART, name: `${name}: first`, unit: 'tokens/s' }, 'berth', first.requests / first.seconds)
          add({ part: PART, name: `${name}: repeated`, unit: 'tokens/s' }, 'berth', repeated.requestsPerSecond)
          add({ part: PART, name: `${name}: repeated`, unit: 'p99 ms' }, 'berth', repeated.p99)
        })
      }
    }
  }
}

function basic(name: string): string {
  return `Basic ${Buffer.from(`${name}:${PASSWORD}`).toString('base64')}`
}

/** What bcrypt alone costs bounds the tokens for users who come for the first time. */
function noteFloor(bench: Bench, hash: string, cost: number): void {
  const times = Array.from({ length: 7 }, () => {
    const start = performance.now()
    Bun.password.verifySync(PASSWORD, hash)
    return performance.now() - start
  })
  const milliseconds = median(times) ?? Number.NaN
  const cores = availableParallelism()
  const limit = figureText((1000 / milliseconds) * cores)
  bench.figures.note(
    `bcrypt at cost ${cost} takes ${figureText(milliseconds)} ms here: ${cores} cores check ${limit} passwords/s at most.`,
  )
}
