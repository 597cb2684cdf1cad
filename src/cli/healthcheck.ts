import { Command, InvalidArgumentError, Option } from 'commander'
import type { Listen } from '../config/config.ts'
import { loadConfig, loadTokenServer } from '../config/load.ts'
import { CommandError } from './error.ts'
import { configPathOf, runningServers, type ServerCommand } from './running-servers.ts'

/** What the command needs of the process, as arguments for tests. */
export interface HealthcheckContext {
  env: Readonly<Record<string, string | undefined>>
  /** The servers that run on this machine, or in this container. */
  servers(): ServerCommand[]
  out(text: string): void
}

const ofProcess: HealthcheckContext = {
  env: process.env,
  servers: runningServers,
  out: (text) => process.stdout.write(text),
}

interface HealthcheckFlags {
  url?: string
  addr?: string
  data?: string
  authConfig?: string
  tls?: 'auto'
  timeout: number
}

/** One thing to ask. A registry says how it is at /readyz; a token server alone answers at / as docker_auth does. */
type Question = { kind: 'url'; url: string; socket?: string } | { kind: 'control'; directory: string }

/** `berth healthcheck`: one line and exit code 0 or 1, for a container's HEALTHCHECK and for probes that run a command. */
export function healthcheckCommand(context: HealthcheckContext = ofProcess): Command {
  return new Command('healthcheck')
    .description('whether the server that runs here answers: exit code 0, or 1')
    .argument('[config.yml]', 'as serve has it; without any of these, as the running server was started')
    .option('--url <url>', 'ask this address (a path that is not given is /readyz), and look for no server')
    .option('--addr <host:port>', 'as serve has it')
    .option('--data <dir>', 'as serve has it')
    .option('--auth-config <file>', 'as serve has it')
    .addOption(new Option('--tls <mode>', 'as serve has it').choices(['auto']))
    .option('--timeout <seconds>', 'how long an answer may take', parseTimeout, 5)
    .action(async (file: string | undefined, flags: HealthcheckFlags) => {
      const questions = flags.url === undefined ? questionsOf(file, flags, context) : [urlQuestion(flags.url)]
      const answers: string[] = []
      for (const question of questions) answers.push(await ask(question, flags.timeout * 1000))
      context.out(`healthy: ${answers.join('; ')}\n`)
    })
}

function parseTimeout(text: string): number {
  const seconds = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= 3600) return seconds
  throw new InvalidArgumentError('It is a number of seconds, such as 5.')
}

/** @throws CommandError */
function urlQuestion(text: string): Question {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new CommandError(`${JSON.stringify(text)} is no URL such as http://127.0.0.1:5000`, 2)
  if (url.pathname === '/' && !text.endsWith('/')) url.pathname = '/readyz'
  return { kind: 'url', url: url.href }
}

/** @throws CommandError */
function questionsOf(file: string | undefined, flags: HealthcheckFlags, context: HealthcheckContext): Question[] {
  const { addr, data, authConfig, tls } = flags
  if ([file, addr, data, authConfig, tls].some((given) => given !== undefined))
    return registryQuestions({ verb: 'serve', file, flags: { addr, data, tls }, authConfig }, context)
  const found = context.servers()
  const [server] = found
  if (server === undefined) throw new CommandError('unhealthy: no server runs here; ask another place with --url')
  if (found.length > 1)
    throw new CommandError(`${found.length} servers run here; say which is meant with its config.yml, or with --url`)
  return server.verb === 'auth' ? tokenQuestions(server, context) : registryQuestions(server, context)
}

/** @throws CommandError */
function registryQuestions(server: ServerCommand, { env }: HealthcheckContext): Question[] {
  const path = configPathOf(server, env)
  const { config } = loadConfig({ file: path, authFile: server.authConfig, env, flags: server.flags })
  if (config === undefined) throw unusable()
  const { http, tokenServer, data } = config
  return [
    questionOf(http.listen, http.tls, '/readyz', data.directory),
    ...(tokenServer?.listen === undefined
      ? []
      : [questionOf(tokenServer.listen, tokenServer.tls, '/', data.directory)]),
  ]
}

/** @throws CommandError */
function tokenQuestions({ file = '', flags }: ServerCommand, { env }: HealthcheckContext): Question[] {
  const { config } = loadTokenServer({ authFile: file, env, flags })
  if (config?.tokenServer.listen === undefined) throw unusable()
  return [questionOf(config.tokenServer.listen, config.tokenServer.tls, '/', config.data.directory)]
}

function unusable(): CommandError {
  return new CommandError('unhealthy: the configuration cannot be used: see berth config check')
}

/** Whoever must show a certificate, or find a port that the system chose, asks on the control socket. */
function questionOf(listen: Listen, tls: { clients?: object } | undefined, path: string, directory: string): Question {
  if (tls?.clients !== undefined || (listen.kind === 'tcp' && listen.port === 0)) return { kind: 'control', directory }
  const scheme = tls === undefined ? 'http' : 'https'
  if (listen.kind === 'unix') return { kind: 'url', url: `${scheme}://localhost${path}`, socket: listen.path }
  return { kind: 'url', url: `${scheme}://${hostOf(listen.hostname)}:${listen.port}${path}` }
}

/** Of an address to listen on, one to connect to. */
function hostOf(hostname: string): string {
  const bare = hostname.replace(/^\[|\]$/g, '')
  // Every address of both families, or of the older one alone where a machine lacks the other (http/listen.ts).
  if (bare === '' || bare === '::' || bare === '0.0.0.0') return '127.0.0.1'
  return bare.includes(':') ? `[${bare}]` : bare
}

/** Answers what to tell. @throws CommandError when it is not well */
async function ask(question: Question, timeoutMs: number): Promise<string> {
  const { name, response } = await answerOf(question, timeoutMs)
  // A page that leads on, and a registry that wants to know who asks, are answers of a server that is well.
  if (response.status < 400 || response.status === 401) return `${name} answers ${response.status}`
  const said = (await response.text().catch(() => '')).trim().split('\n')[0]?.slice(0, 200) ?? ''
  throw new CommandError(`unhealthy: ${name} answers ${response.status}${said === '' ? '' : ` (${said})`}`)
}

async function answerOf(question: Question, timeoutMs: number): Promise<{ name: string; response: Response }> {
  const signal = AbortSignal.timeout(timeoutMs)
  const name = question.kind === 'control' ? 'the control socket' : question.url
  try {
    return { name, response: await fetchAnswer(question, signal) }
  } catch (error) {
    if (error instanceof CommandError) throw error
    const why = signal.aborted ? `gives no answer in ${timeoutMs / 1000} s` : `does not answer: ${textOf(error)}`
    throw new CommandError(`unhealthy: ${name} ${why}`)
  }
}

async function fetchAnswer(question: Question, signal: AbortSignal): Promise<Response> {
  if (question.kind === 'control') {
    // Loaded here, because few need it.
    const { askServer } = await import('../run-control.ts')
    const request = new Request('http://berth/api/v1/openapi.json', { signal })
    const response = await askServer(question.directory, request)
    if (response !== undefined) return response
    throw new CommandError(`unhealthy: no server answers for ${question.directory}`)
  }
  const { url, socket } = question
  // Nothing secret is sent, and the certificate is for the name that clients use: as Kubernetes' probes, it is not checked.
  // A proxy has no part in this.
  return await fetch(url, {
    ...{ signal, redirect: 'manual', tls: { rejectUnauthorized: false }, proxy: '' },
    ...(socket === undefined ? {} : { unix: socket }),
  })
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split(/\n|\. /)[0] ?? ''
}
