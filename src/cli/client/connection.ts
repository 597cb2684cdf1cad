import { type Command, InvalidArgumentError, Option } from 'commander'
import { isIP } from '../../oci/ip-address.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { createUpstream, type Upstream, type UpstreamOptions } from '../../upstream/upstream.ts'
import { CONNECTION_HEADING } from '../help-style.ts'
import { printable } from '../table.ts'
import { collect } from '../values.ts'
import { VERSION } from '../version.ts'
import type { ClientContext } from './context.ts'

/** How a registry is spoken to: the flags that every verb has. */
export interface ConnectionFlags {
  insecure?: true
  plainHttp?: true
  caFile?: string
  certFile?: string
  keyFile?: string
  registryConfig?: string
  authfile?: string
  header?: string[]
  timeout?: number
  retryTimes?: number
  retryDelay?: number
  resolve?: string[]
  debug?: true
  verbose?: true
  /** Who asks, in place of what is kept: of one of two registries. */
  creds?: { username: string; password: string }
}

/** `without`: flags that mean something else of this verb. */
export function connectionOptions(command: Command, { without = [] }: { without?: readonly string[] } = {}): Command {
  const options = [
    new Option('--insecure', 'take any certificate, and plain HTTP where there is no TLS'),
    new Option('--plain-http', 'speak HTTP without TLS'),
    new Option('--ca-file <file>', 'trust the authorities of this PEM file, too'),
    new Option('--cert-file <file>', 'show this client certificate (PEM)'),
    new Option('--key-file <file>', 'the key of the client certificate (PEM)'),
    new Option('--registry-config <file>', "credentials are in this file alone, in the form of docker's config.json"),
    new Option('--authfile <file>', 'the same as --registry-config').conflicts('registryConfig'),
    new Option('-H, --header <line>', 'send "Name: value" with each request; may be repeated').argParser(collect),
    new Option('--timeout <time>', 'wait this long for an answer: 500ms, 30s, 2m').argParser(parseTime),
    new Option('--retry-times <n>', 'try so often again after what may pass: 2 unless told').argParser(parseRetries),
    new Option(
      '--retry-delay <time>',
      'before the first of these, twice as long before the next: 500ms unless told',
    ).argParser(parseTime),
    new Option('--resolve <host:port:address>', 'reach that registry at this address; may be repeated').argParser(
      collect,
    ),
    new Option('--debug', 'show each request on standard error'),
    new Option('-v, --verbose', 'the same as --debug'),
  ]
  const wanted = options.filter(({ long }) => !without.includes(long ?? ''))
  for (const option of wanted) command.addOption(option.helpGroup(CONNECTION_HEADING))
  return command
}

/** @throws UpstreamError `usage` */
export function connect(context: ClientContext, flags: ConnectionFlags, as?: UpstreamOptions['as']): Upstream {
  const options = upstreamOptions(context, flags)
  return createUpstream(as === undefined ? options : { ...options, as })
}

/** @throws UpstreamError `usage` */
export function upstreamOptions(context: ClientContext, flags: ConnectionFlags): UpstreamOptions {
  const { insecure = false, plainHttp = false, caFile, certFile, keyFile, timeout, retryTimes, retryDelay } = flags
  return {
    ...{ env: context.env, home: context.home, now: context.now, signal: context.signal },
    ...{ insecure, plainHttp, caFile, certFile, keyFile },
    userAgent: `berth/${VERSION}`,
    // No verb runs an image.
    looking: true,
    credentialFile: flags.registryConfig ?? flags.authfile,
    headers: Object.fromEntries((flags.header ?? []).map(parseHeader)),
    addresses: new Map((flags.resolve ?? []).map(parseResolve)),
    as: flags.creds,
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(retryTimes === undefined ? {} : { retries: retryTimes }),
    ...(retryDelay === undefined ? {} : { retryDelayMs: retryDelay }),
    ...(flags.debug || flags.verbose
      ? { trace: (line: string) => context.error(`${printable(withoutSecrets(line))}\n`) }
      : {}),
  }
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000 }

function parseTime(text: string): number {
  const [, count, unit = 's'] = /^([1-9]\d{0,5})(ms|s|m)?$/.exec(text) ?? []
  if (count === undefined) throw new InvalidArgumentError('Write 500ms, 30s or 2m.')
  return Number(count) * (UNITS[unit] ?? 0)
}

function parseRetries(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw new InvalidArgumentError('It must be a number from 0 to 99.')
  return Number(text)
}

/** `registry.example:443:192.0.2.7`, as curl has it → the registry's host and port, and where it is. */
function parseResolve(text: string): [string, string] {
  const [, host, port, address = ''] = /^([^:\s[\]]+):(\d{1,5}):\[?([\da-f:.]+)\]?$/i.exec(text) ?? []
  if (host === undefined || isIP(address) === 0) {
    throw new UpstreamError('usage', `--resolve: ${JSON.stringify(text)} is not HOST:PORT:ADDRESS`, {
      hint: '--resolve registry.example:443:192.0.2.7',
    })
  }
  return [`${host.toLowerCase()}:${port}`, isIP(address) === 6 ? `[${address}]` : address]
}

function parseHeader(line: string): [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\t\x20-\x7e]*)$/.exec(line) ?? []
  if (name === undefined || value === undefined) {
    throw new UpstreamError('usage', `${JSON.stringify(line.split(':', 1)[0])} is no header: write "Name: value"`)
  }
  return [name, value]
}

/** Characters of an address that are shown; a registry may lead to one without end. */
const LONGEST_LINE = 4096

/** Storages let in whoever has their address, with its signature. */
function withoutSecrets(line: string): string {
  return line
    .slice(0, LONGEST_LINE)
    .replace(/([?&][^=&\s]*(?:sig|token|credential|state|key)[^=&\s]*)=[^&\s]+/gi, '$1=…')
}

/** A number of rows for `-n`. */
export function parseCount(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 on.')
  return Number(text)
}
