import { Resolver } from 'node:dns/promises'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { makeAuthority } from './authority.ts'
import { freePort } from './free-port.ts'
import { cleanEnvironment, program } from './programs.ts'

/** An ACME authority for tests, which resolves every name to this machine. */
export interface Pebble {
  directoryUrl: string
  /** PEM file of the authority of its own HTTPS. */
  authority: string
  /** PEM of the root that it signs with. */
  root(): Promise<string>
  log(): string
  stop(): Promise<void>
  /** Again, as a new authority that knows no account. */
  start(): Promise<void>
}

/** Only to end one that hangs. */
const READY_TIMEOUT_MS = 90_000

/**
 * @param options.httpPort where it asks for challenges, in place of 80
 * @param options.rejectedNonces percent of good nonces that it calls bad
 * @param options.lifeSeconds of its certificates
 */
export async function startPebble(
  folder: string,
  options: { httpPort: number; rejectedNonces?: number; lifeSeconds?: number },
): Promise<Pebble> {
  mkdirSync(folder, { recursive: true })
  const own = makeAuthority(folder, 'pebble-https')
  const pair = own.issue('pebble', { names: ['localhost', '127.0.0.1'] })
  const [port, management, dns, dnsManagement] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const config = join(folder, 'pebble.json')
  const { httpPort, rejectedNonces = 0, lifeSeconds = 90 * 86_400 } = options
  const settings = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: pair.certificate,
    privateKey: pair.key,
    httpPort,
    tlsPort: await freePort(),
    ocspResponderURL: '',
    certificateValidityPeriod: lifeSeconds,
  }
  writeFileSync(config, JSON.stringify({ pebble: settings }))
  let text = ''
  const spawn = (command: string[], env: Record<string, string> = {}) => {
    const child = Bun.spawn(command, { env: cleanEnvironment(env), stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
    process.on('exit', () => child.kill('SIGKILL'))
    for (const stream of [child.stdout, child.stderr]) {
      void (async () => {
        const decoder = new TextDecoder()
        for await (const chunk of stream) text += decoder.decode(chunk, { stream: true })
      })()
    }
    return child
  }
  const names = spawn([
    program('pebble-challtestsrv'),
    ...['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`, '-defaultIPv4', '127.0.0.1'],
    ...['-defaultIPv6', '', '-http01', '', '-https01', '', '-tlsalpn01', ''],
  ])
  let child: ReturnType<typeof spawn> | undefined
  const start = async () => {
    child = spawn([program('pebble'), '-config', config, '-strict', '-dnsserver', `127.0.0.1:${dns}`], {
      PEBBLE_VA_NOSLEEP: '1',
      PEBBLE_WFE_NONCEREJECT: String(rejectedNonces),
      PEBBLE_AUTHZREUSE: '0',
    })
    await Promise.all([listening(port), listening(management), answering(dns)])
  }
  const stopIt = async () => {
    child?.kill('SIGKILL')
    await child?.exited
  }
  await start()
  return {
    directoryUrl: `https://127.0.0.1:${port}/dir`,
    authority: own.file,
    async root() {
      const url = `https://127.0.0.1:${management}/roots/0`
      const response = await fetch(url, { tls: { rejectUnauthorized: false } })
      return await response.text()
    },
    log: () => text,
    start,
    stop: async () => {
      await stopIt()
      names.kill('SIGKILL')
      await names.exited
    },
  }
}

/** It asks for the names of hosts as soon as it is asked for a certificate. */
async function answering(dnsPort: number): Promise<void> {
  const resolver = new Resolver({ timeout: 500, tries: 1 })
  resolver.setServers([`127.0.0.1:${dnsPort}`])
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (performance.now() < deadline) {
    const addresses = await resolver.resolve4('ready.example').catch(() => [])
    if (addresses.length > 0) return
    await Bun.sleep(20)
  }
  throw new Error(`nobody answers for names on port ${dnsPort}`)
}

async function listening(port: number): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (performance.now() < deadline) {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false))
    const is = await promise
    socket.destroy()
    if (is) return
    await Bun.sleep(20)
  }
  throw new Error(`nobody listens on port ${port}`)
}
