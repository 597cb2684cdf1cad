import { type Command, InvalidArgumentError, Option } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
import { type Listing, writeListing } from '../listing.ts'
import { formatTable, printable, printableJson } from '../table.ts'
import type { ClientContext } from './context.ts'
import { namesField, parseTemplate, renderTemplate, type Template } from './template.ts'

/** What a verb found, in every form in which it can be shown. */
export interface View {
  /** For JSON and templates. */
  whole: Record<string, unknown>
  /** The list of which `ndjson` and templates show one after the other, and its name in `whole`. */
  list?: { name: string; rows: readonly unknown[] }
  /** For people: lines, or a table that fits the terminal. */
  text: string | Listing
  /** A sentence for people where `text` is nothing. */
  empty?: string
  /** Bytes of the registry, for `raw`. */
  raw?: Uint8Array
}

type Format = 'table' | 'json' | 'ndjson' | 'raw' | Template

export function formatOption(command: Command, raw: 'raw' | 'no raw' = 'no raw'): Command {
  const names = raw === 'raw' ? 'table, json, ndjson, raw' : 'table, json, ndjson'
  return command.option('-f, --format <format>', `${names} or a template as '{{.Field}}'`, 'table')
}

/** Of the verbs whose output is bytes of somebody else: they have one format, whatever they are asked for. */
export function bytesOption(command: Command): Command {
  const onlyRaw = (text: string) => {
    if (text === 'raw') return text
    throw new InvalidArgumentError('Bytes are printed as they are: there is no other format than raw.')
  }
  return command.addOption(
    new Option('-f, --format <format>', 'as bytes').choices(['raw']).default('raw').argParser(onlyRaw),
  )
}

/** Before anything is asked: a mistyped format is known at once. @throws UpstreamError `usage` */
export function parseFormat(text: string, raw: 'raw' | 'no raw' = 'no raw'): Format {
  if (text === 'table' || text === 'json' || text === 'ndjson' || (text === 'raw' && raw === 'raw')) return text
  if (text.startsWith('table ')) {
    throw new UpstreamError('usage', '--format: "table {{…}}" is not supported', { hint: 'leave out "table "' })
  }
  if (text.includes('{{')) return parseTemplate(text)
  throw new UpstreamError('usage', `--format: ${JSON.stringify(text)} is no format of this verb`, {
    hint: `write table, json, ndjson${raw === 'raw' ? ', raw' : ''} or a template as '{{.Field}}'`,
  })
}

/** Of the verbs that show a table. */
export interface TableFlags {
  /** False with `--no-trunc`. */
  trunc?: boolean
}

export function tableOption(command: Command): Command {
  return command.option('--no-trunc', 'whole digests and cells, however wide the terminal is')
}

/** As a table; see `writeListing`. */
export function showTable(context: ClientContext, listing: Listing, { trunc }: TableFlags): void {
  const room = context.outIsTerminal ? (context.columns ?? Number.POSITIVE_INFINITY) : undefined
  writeListing(context, listing, trunc === false ? undefined : room)
}

export function show(context: ClientContext, format: Format, view: View, flags: TableFlags = {}): void {
  if (format === 'table') {
    if (typeof view.text !== 'string') showTable(context, view.text, flags)
    else if (view.text === '' && view.empty !== undefined) context.error(lines([view.empty]))
    else context.out(view.text)
  } else if (format === 'raw') context.out(view.raw ?? new Uint8Array())
  else if (format === 'json') context.out(printableJson(JSON.stringify(view.whole, undefined, 2)))
  else if (format === 'ndjson') {
    for (const row of view.list?.rows ?? [view.whole]) context.out(printableJson(JSON.stringify(row)))
  } else context.out(rendered(format, view, context.outIsTerminal))
}

/** As docker does for each row; once for the whole where the template names the list itself, as regctl does. */
function rendered(template: Template, { whole, list }: View, isTerminal: boolean): string {
  const isWhole = list === undefined || namesField(template, list.name)
  const texts = (isWhole ? [whole] : list.rows).map((value) => {
    const text = renderTemplate(template, value)
    return text === '' || text.endsWith('\n') ? text : `${text}\n`
  })
  const text = texts.join('')
  return isTerminal
    ? text
        .split(/(?<=[\n\t])/)
        .map(visible)
        .join('')
    : text
}

function visible(text: string): string {
  const end = /[\n\t]$/.exec(text)?.[0] ?? ''
  return printable(text.slice(0, text.length - end.length)) + end
}

/** One name a line. */
export function lines(names: readonly string[]): string {
  return names.map((name) => `${printable(name)}\n`).join('')
}

/** Names before values, a line each; what is empty is left out. */
export function fields(pairs: readonly (readonly [string, string | undefined])[]): string {
  return formatTable(pairs.flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])))
}
