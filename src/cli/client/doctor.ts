import { Command, Option } from 'commander'
import { examineClient } from '../../doctor/examine-client.ts'
import { examineServer } from '../../doctor/examine-server.ts'
import { type Finding, isFault, merged, reworded } from '../../doctor/finding.ts'
import { gatherClient } from '../../doctor/gather-client.ts'
import { formatReport, jsonReport, type Report, summary } from '../../doctor/report.ts'
import { shellText } from '../../doctor/settings.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { parseImage, parseRegistry } from '../../upstream/reference.ts'
import { createUpstream } from '../../upstream/upstream.ts'
import { CommandError } from '../error.ts'
import { printable, printableJson } from '../table.ts'
import { type ConnectionFlags, connectionOptions, upstreamOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { explainText } from './doctor-explain.ts'
import { mustBeInPlace } from './doctor-files.ts'
import { readServer, rulingsFor, type Server, type ServerFlags, subjectOf } from './doctor-server.ts'

interface DoctorFlags extends ServerFlags, ConnectionFlags {
  format: 'text' | 'json' | 'markdown'
  user?: string
  passwordStdin?: true
  for?: readonly string[]
  root: string
  readOnly?: true
  color: boolean
}

const YAML = /\.ya?ml$/i
const ACTIONS = ['pull', 'push', 'delete', 'catalog']
/** Milliseconds: whoever asks what is wrong does not want to wait a minute for each thing that is. */
const PATIENCE = 10_000
const MAX_PASSWORD = 64 * 1024

export function doctorCommand(context: ClientContext): Command {
  const command = new Command('doctor')
    .argument('[target]', "HOST[:PORT], an image there, or the registry's config.yml; explain for an error text")
    .argument('[text...]', 'after explain: the text; - reads it from standard input')
    .option('-u, --user <name>', 'ask as this user, in place of who is logged in here')
    .option('--password-stdin', "read the user's password from standard input")
    .option(
      '--for <actions>',
      'what must be possible: pull, push, delete, catalog; what is not granted of it is a fault',
      parseActions,
    )
    .option('--read-only', 'begin no upload to see where the registry sends it')
    .option(
      '--config <config.yml>',
      "the registry's configuration, in registry:2's format; REGISTRY_* variables are read too",
    )
    .option('--auth-config <file>', "the token server's configuration, in docker_auth's format")
    .option('--bundle <file>', 'the rootcertbundle of a registry elsewhere that is to take the tokens')
    .option('--data <dir>', "the server's data directory")
    .option('--root <dir>', "look for docker's files below another folder, such as that of an image", '/')
    .option('--no-color', 'no colours, as the variable NO_COLOR says, too')
    .addOption(
      new Option('-f, --format <format>', 'text, or json for programs')
        .choices(['text', 'json', 'markdown'])
        .default('text'),
    )
  return connectionOptions(command).action(async (target: string | undefined, words: string[], flags: DoctorFlags) => {
    if (target === 'explain') return await explainText(context, words.join(' '), flags.format)
    if (words.length > 0) throw new UpstreamError('usage', 'one registry or image at a time')
    if (flags.format === 'markdown') throw new UpstreamError('usage', '--format markdown is for explain alone')
    const isFile = target !== undefined && YAML.test(target)
    if (isFile && flags.config !== undefined) throw new UpstreamError('usage', 'there are two configurations: name one')
    const files: ServerFlags = isFile ? { ...flags, config: target } : flags
    mustBeInPlace(files)
    const place = isFile ? undefined : target
    const server = readServer(context, files, place !== undefined)
    if (server === undefined && place === undefined) throw nothingToExamine()
    const subject = [...(place === undefined ? [] : [place]), ...subjectOf(files, server)].join(', ') || 'this machine'
    const seen = server === undefined ? [] : examineServer(server.facts, context.now())
    const met = place === undefined ? [] : await visit(context, place, flags, server)
    show(context, flags, { subject, findings: merged(seen, met) })
  })
}

/** Asks the registry, as a client. */
async function visit(
  context: ClientContext,
  target: string,
  flags: DoctorFlags,
  server: Server | undefined,
): Promise<Finding[]> {
  const place = target.replace(/^https?:\/\//i, '').replace(/\/(v[12]\/?)?$/, '')
  const image = place.includes('/') ? parseImage(place) : undefined
  const registry = image?.registry ?? parseRegistry(target)
  const options = upstreamOptions(context, flags)
  const as = await credentialsOf(context, flags, target, registry, image?.repository)
  const client = await gatherClient({
    registry,
    repository: image?.repository,
    reference: image?.digest ?? image?.tag,
    wanted: flags.for,
    root: flags.root,
    isReadOnly: flags.readOnly === true,
    upstream: { ...options, as },
    timeoutMs: flags.timeout ?? PATIENCE,
  })
  if (context.signal.aborted) throw context.signal.reason
  return examineClient(client, server?.facts, await rulingsFor(client, server), context.now())
}

/** Undefined: who is logged in here. @throws UpstreamError `usage` */
async function credentialsOf(
  context: ClientContext,
  flags: DoctorFlags,
  target: string,
  registry: string,
  repository: string | undefined,
) {
  const { user, passwordStdin } = flags
  if (user === undefined) {
    if (passwordStdin) throw new UpstreamError('usage', '--password-stdin needs --user')
    return undefined
  }
  if (passwordStdin) {
    const password = (await context.readInput(MAX_PASSWORD)).replace(/\r?\n$/, '')
    if (password === '') throw new UpstreamError('usage', 'the password is empty')
    return { username: user, password }
  }
  const kept = await createUpstream(upstreamOptions(context, flags)).credentials.find(registry, repository)
  if (kept !== undefined && kept.kind !== 'registry-token' && kept.username === user) return undefined
  if (!context.canAsk) {
    throw new UpstreamError(
      'usage',
      `there is no terminal to ask for the password of ${user}, and none is stored for ${registry}`,
      {
        hint: `printf %s "$PASSWORD" | berth doctor ${withoutPassword([target, ...given(flags)].map(shellText).join(' '))} --password-stdin`,
      },
    )
  }
  return { username: user, password: await context.askPassword(`Password of ${user}: `) }
}

/** The flags as they were given, to be pasted; headers may hold what nobody else is to see. */
function given({ format, for: actions, header: _header, color: _color, ...others }: DoctorFlags): string[] {
  const named = { ...others, ...(format === 'text' ? {} : { format }), ...(actions && { for: actions.join(',') }) }
  return Object.entries(named).flatMap(([key, value]) => {
    if (value === undefined || (key === 'root' && value === '/')) return []
    const flag = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    if (Array.isArray(value)) return value.flatMap((one) => [flag, String(one)])
    return value === true ? [flag] : [flag, /^(timeout|retryDelay)$/.test(key) ? `${value}ms` : String(value)]
  })
}

/** @throws UpstreamError `usage` */
function parseActions(text: string): string[] {
  const actions = text.split(',').map((action) => action.trim())
  const wrong = actions.find((action) => !ACTIONS.includes(action))
  if (wrong === undefined) return actions
  throw new UpstreamError('usage', `--for: ${JSON.stringify(wrong)} is none of ${ACTIONS.join(', ')}`)
}

function show(context: ClientContext, { format, color }: DoctorFlags, found: Report): void {
  const report = mapped(found, withoutPassword)
  if (format === 'json') context.out(printableJson(jsonReport(report)))
  else {
    const colour = color && context.outIsTerminal && !context.env.NO_COLOR && context.env.TERM !== 'dumb'
    // What servers say of themselves must not move the cursor of whoever reads it.
    context.out(formatReport(mapped(report, printable), { colour, width: context.columns }))
  }
  if (report.findings.some(isFault)) throw new CommandError(summary(report.findings))
}

/** Every text of it, changed so. */
function mapped({ subject, findings }: Report, change: (text: string) => string): Report {
  const changed = findings.map((one) => reworded(one, change))
  return { subject: change(subject), findings: changed }
}

/** An address may hold one: `https://user:password@host`. */
function withoutPassword(text: string): string {
  return text.replace(/(\w:\/\/[^/@:\s]*:)[^@\s/]+@/g, '$1********@')
}

function nothingToExamine(): UpstreamError {
  return new UpstreamError('usage', 'there is nothing to examine: name a registry, an image or a configuration', {
    hint: 'berth doctor HOST:PORT, or on the server berth doctor --config config.yml --auth-config auth_config.yml',
  })
}
