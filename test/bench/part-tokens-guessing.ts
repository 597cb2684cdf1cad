import { join } from 'node:path'
import { prepareLoad, runLoad } from './generator.ts'
import { GOALS } from './goals.ts'
import { basic } from './load-requests.ts'
import type { Bench } from './part.ts'
import { type Server, startTokenServer } from './servers.ts'
import { tokenServerConfig } from './settings.ts'
import { PASSWORD, TOKEN_PATH, type TokenKey, tokenKeys } from './tokens.ts'

const PART = 'A known user, 100 requests a second, while 8 strangers try passwords (bcrypt 10, over TLS)'
const STRANGERS = 8
const PER_SECOND = 100
const CONNECTIONS = 4
const LEAD_SECONDS = 0.5
const ROUNDS = 2
/** TEST-NET-2 of RFC 5737: nobody's. */
const ELSEWHERE = Array.from({ length: STRANGERS }, (_, index) => `198.51.100.${index + 1}`)

/** Where the guesses come from, as the token server sees it. */
const ORIGINS = [
  { from: "the known user's own address", addresses: [] },
  { from: '8 other addresses', addresses: ELSEWHERE },
]

/** Strangers get what is left over: checks of passwords and signatures share the machine, and the known user waits for none. */
export async function guessing(bench: Bench, hash: string): Promise<void> {
  const accounts = Array.from({ length: 64 }, (_, index) => `guessed${index}`)
  const users = new Map([...accounts, 'known'].map((name) => [name, hash]))
  const rounds = bench.quick ? 1 : Math.min(bench.rounds, ROUNDS)
  for (let round = 1; round <= rounds; round++) {
    for (const key of tokenKeys(bench.credentials)) {
      for (const { from, addresses } of ORIGINS) {
        bench.progress(`guesses from ${from}, ${key.name}, round ${round} of ${rounds}`)
        const { workplace, credentials } = bench
        const folder = workplace.folder('disk', 'guessing')
        const config = tokenServerConfig({ tls: credentials.tls, signing: key.pair, users })
        const server = await startTokenServer(workplace, folder, config, join(folder, 'data'))
        try {
          await underGuesses(bench, { server, key, from, addresses, accounts })
        } finally {
          await server.stop()
        }
      }
    }
  }
}

interface Siege {
  server: Server
  key: TokenKey
  from: string
  addresses: readonly string[]
  accounts: readonly string[]
}

async function underGuesses(bench: Bench, { server, key, from, addresses, accounts }: Siege): Promise<void> {
  const { workplace, figures } = bench
  const { target } = server
  const authorization = basic('known', PASSWORD)
  // Once the quiet way: the server's code is warm, and the password is one that was right a moment ago.
  await runLoad(workplace, {
    ...{ kind: 'paced', target: { ...target, authorization }, connections: CONNECTIONS, path: TOKEN_PATH },
    ...{ perSecond: PER_SECOND, seconds: 1 },
  })
  const seconds = bench.quick ? 1.5 : 3
  const guesses = await prepareLoad(workplace, {
    ...{ kind: 'guess', target, connections: STRANGERS, path: TOKEN_PATH, accounts, addresses },
    seconds: seconds + LEAD_SECONDS + 0.5,
  })
  const trickle = await prepareLoad(workplace, {
    ...{ kind: 'paced', target: { ...target, authorization }, connections: CONNECTIONS, path: TOKEN_PATH },
    ...{ perSecond: PER_SECOND, seconds },
  })
  const running = guesses.go()
  // Its failure is seen below, after the trickle has ended.
  running.catch(() => undefined)
  await Bun.sleep(LEAD_SECONDS * 1000)
  const { latency } = await trickle.go()
  const { statuses, seconds: took } = await running
  if (latency === undefined) throw new Error('nothing was asked')
  const name = `${key.name}: guesses from ${from}`
  figures.add({ part: PART, name, unit: 'p50 ms' }, 'berth', latency.p50)
  figures.add({ part: PART, name, unit: 'p99 ms', goal: GOALS.latencyWhileGuessed }, 'berth', latency.p99)
  for (const [status, what] of [
    ['401', 'checked'],
    ['429', 'put off'],
  ] as const) {
    figures.add({ part: PART, name: `${name}: ${what}`, unit: 'guesses/s' }, 'berth', (statuses[status] ?? 0) / took)
  }
}
