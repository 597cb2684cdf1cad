import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import type { Config } from '../config/config.ts'
import type { Problem } from '../http/api/problem.ts'
import type { Control } from '../run-control.ts'
import { CommandError } from './error.ts'
import { configOf } from './load.ts'
import { readPassword } from './password-prompt.ts'
import { askLine } from './question.ts'

export interface AdminFlags {
  data?: string
  config?: string
  authConfig?: string
  format?: 'table' | 'json' | 'ndjson'
}

/** What the commands need of the process, as arguments for tests. */
export interface AdminContext {
  /** The configuration that the flags name. @throws CommandError where it has no data directory */
  configOf(flags: AdminFlags): Config
  open(config: Config): Promise<Control>
  out(text: string): void
  error(text: string): void
  setExitCode(code: number): void
  /** @throws CommandError */
  readPassword(prompt: string): Promise<string>
  /** Asks on the terminal; undefined where there is none. @throws CommandError when the question is interrupted */
  ask(question: string): Promise<string | undefined>
  /** Milliseconds since the epoch. */
  now(): number
  /** Of the terminal that shows `out`, infinite where it does not say; undefined: it is none. */
  columns: number | undefined
}

export const ofProcess: AdminContext = {
  configOf: configOfFlags,
  async open(config) {
    // Not at the start of the program: help and wrong usage need none of it.
    const { openControl } = await import('../run-control.ts')
    return await openControl(config)
  },
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  setExitCode: (code) => {
    process.exitCode = code
  },
  readPassword,
  async ask(question) {
    const isAnybodyThere = process.stdin.isTTY === true && process.stderr.isTTY === true
    return isAnybodyThere ? await askLine(question, new AbortController().signal) : undefined
  },
  now: Date.now,
  columns: process.stdout.isTTY === true ? process.stdout.columns || Number.POSITIVE_INFINITY : undefined,
}

function configOfFlags({ config: file, data, authConfig }: AdminFlags): Config {
  const config = configOf(file, {
    ...(data === undefined ? {} : { data }),
    ...(authConfig === undefined ? {} : { authConfig }),
  })
  if (!existsSync(join(config.data.metadata, DATABASE))) {
    const where =
      file === undefined || data !== undefined
        ? '; name its data directory with --data DIR'
        : `, which ${file} names as its data directory (storage.filesystem.rootdirectory)`
    throw new CommandError(`there is no registry in ${config.data.directory}${where}`, 1, {
      hint: existsSync(join(BESIDE, DATABASE)) ? `there is one in ./${BESIDE}: --data ${BESIDE}` : undefined,
    })
  }
  return config
}

const DATABASE = 'berth.db'
/** Where `npm start` puts it. */
const BESIDE = 'data'

export function adminOptions(command: Command, formats: readonly string[] = ['table', 'json']): Command {
  return command
    .option('--data <dir>', "the server's data directory")
    .option('--config <config.yml>', "the server's configuration file, which names the data directory")
    .option('--auth-config <file>', "the token server's configuration file, where the server has one")
    .addOption(
      new Option('--format <format>', `${formats.slice(0, -1).join(', ')}, or ${formats.at(-1)}: the API's own answer`)
        .choices(formats)
        .default('table'),
    )
}

/** For commands that show a list. */
export function listOptions(command: Command): Command {
  return adminOptions(command).option('--no-trunc', 'whole digests and cells, however wide the terminal is')
}

/** For commands that show a page of a list. */
export function pageOptions(command: Command): Command {
  return listOptions(command)
    .option('--limit <n>', 'rows at most, up to 1000', '1000')
    .option('--last <row>', 'only what comes after this one')
}

export interface Answer<T> {
  /** As the server wrote it. */
  text: string
  json: T
  /** Query of the Link to what follows, where there is more. */
  next: URLSearchParams | undefined
  /** What whoever asked should know besides. */
  notice: string | undefined
}

export interface AskOptions {
  query?: Record<string, string | undefined>
  body?: unknown
  headers?: Record<string, string>
}

/** @throws CommandError with the server's own words when it refuses. */
export type Ask = <T>(method: string, path: string, options?: AskOptions) => Promise<Answer<T>>

/** Asks for an answer of lines of JSON, and has each when it comes. @throws CommandError */
export type Stream = <T>(method: string, path: string, options?: AskOptions) => AsyncGenerator<T>

/** Opens the API for a command, and closes it however the command ends. */
export async function withApi(
  context: AdminContext,
  flags: AdminFlags,
  work: (ask: Ask, stream: Stream) => Promise<void>,
): Promise<void> {
  const control = await context.open(context.configOf(flags))
  try {
    const told = new Set<string>()
    async function ask<T>(...question: Parameters<Ask>): Promise<Answer<T>> {
      const answer = await askOnce<T>(control, ...question)
      if (answer.notice !== undefined && !told.has(answer.notice)) {
        told.add(answer.notice)
        context.error(`note: ${answer.notice}\n`)
      }
      return answer
    }
    await work(ask, (...question) => linesOf(control, ...question))
  } finally {
    await control.close()
  }
}

async function askOnce<T>(control: Control, ...question: Parameters<Ask>): Promise<Answer<T>> {
  const response = await request(control, ...question)
  const text = await response.text()
  const next = /^<[^>]*\?([^>]*)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
  return {
    text,
    json: (text === '' ? undefined : JSON.parse(text)) as T,
    next: next === undefined ? undefined : new URLSearchParams(next),
    notice: response.headers.get('berth-notice') ?? undefined,
  }
}

async function* linesOf<T>(control: Control, ...question: Parameters<Ask>): AsyncGenerator<T> {
  const response = await request(control, ...question)
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line) as T
  }
}

/** How the runtime calls it that the other end of the control socket is gone. */
const LOST = new Set(['ECONNREFUSED', 'ECONNRESET', 'ConnectionRefused', 'ConnectionClosed', 'FailedToOpenSocket'])

/** @throws CommandError */
async function request(
  control: Control,
  method: string,
  path: string,
  { query = {}, body, headers = {} }: AskOptions = {},
): Promise<Response> {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) given.set(name, value)
  const search = given.size === 0 ? '' : `?${given}`
  const json = body === undefined ? {} : { body: JSON.stringify(body) }
  const type: Record<string, string> = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const url = `http://berth/api/v1${path}${search}`
  const asked = new Request(url, { method, headers: { ...type, ...headers }, ...json })
  const response = await control.fetch(asked).catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!LOST.has(code)) throw error
    throw new CommandError(
      `the server ended before it answered (${code}); part of what was asked may be done: start it, and ask again`,
    )
  })
  if (!response.ok) throw refusal(response.status, await response.text())
  return response
}

/** In the words of a problem (RFC 9457), each further error on a line of its own. */
function refusal(status: number, text: string): CommandError {
  const problem = problemIn(text)
  if (problem === undefined) return new CommandError(`the server answers ${status}`)
  const errors = (problem.errors ?? []).map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  const detail = String(problem.detail ?? `the server answers ${status}`)
  const { immutable } = problem
  return new CommandError(errors.length < 2 ? detail : [detail, ...errors].join('\n  '), 1, { immutable })
}

function problemIn(text: string): Partial<Problem> | undefined {
  try {
    return JSON.parse(text) as Partial<Problem>
  } catch {
    return undefined
  }
}

/** A part of a path. */
export function segment(text: string): string {
  if (text === '' || text === '.' || text === '..') throw new CommandError(`${JSON.stringify(text)} is no name`)
  return encodeURIComponent(text)
}
