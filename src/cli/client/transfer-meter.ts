import type { Command } from 'commander'
import { Option } from 'commander'
import type { Descriptor } from '../../oci/descriptor.ts'
import { hexOf } from '../../oci/digest.ts'
import type { Meter } from '../../transfer/transfer.ts'
import { barOf, bytesText } from '../progress.ts'
import type { ClientContext } from './context.ts'

export interface MeterFlags {
  progress: 'auto' | 'tty' | 'plain' | 'rawjson' | 'none'
  quiet?: true
  /** False with `--no-tty`. */
  tty?: boolean
}

export function meterOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--progress <how>', 'bars on a terminal, a line for each blob elsewhere')
        .choices(['auto', 'tty', 'plain', 'rawjson', 'none'])
        .default('auto'),
    )
    .option('--no-tty', 'no bars, on a terminal either')
    .option('-q, --quiet', 'the same as --progress none')
}

/** Whether the end is said in words: whoever asked for JSON reads nothing else. */
export function tellsInWords({ progress, quiet }: MeterFlags): boolean {
  return !quiet && progress !== 'none' && progress !== 'rawjson'
}

/** Bars where standard error is a terminal, else a line when a blob is done. */
export function createMeter(context: ClientContext, { progress, quiet, tty }: MeterFlags): Meter {
  const how = progress === 'auto' ? (context.terminal.isTTY === true && tty !== false ? 'tty' : 'plain') : progress
  if (quiet || how === 'none') return { begin: () => ({ at: () => {}, end: () => {} }), clear: () => {} }
  if (how === 'rawjson') return createJson(context)
  return how === 'tty' && tty !== false ? createBars(context) : createLines(context)
}

/** Milliseconds between two lines of one blob. */
const JSON_EVERY = 1000

/** A line of JSON when a blob begins, each second, and when it ends. */
function createJson({ error, now }: ClientContext): Meter {
  return {
    begin({ digest, size }) {
      const say = (status: string, bytes: number) => error(`${JSON.stringify({ digest, status, bytes, size })}\n`)
      let said = now()
      let reached = 0
      say('started', 0)
      return {
        at(bytes) {
          reached = bytes
          if (now() - said < JSON_EVERY) return
          said = now()
          say('running', bytes)
        },
        end: (action) => say(action, action === 'failed' ? reached : size),
      }
    },
    clear: () => {},
  }
}

function createLines({ error }: ClientContext): Meter {
  return {
    begin: ({ digest, size }) => ({
      at: () => {},
      end: (action) => void (action === 'failed' || error(`${digest} ${action} (${bytesText(size)})\n`)),
    }),
    clear: () => {},
  }
}

/** Milliseconds between two drawings. */
const EVERY = 100
const NAME = 12

function nameOf({ digest }: Descriptor): string {
  return hexOf(digest).slice(0, NAME)
}

interface Row {
  blob: Descriptor
  bytes: number
  /** Milliseconds, and what was there already then: an upload that goes on has no speed for what it had. */
  since: number | undefined
  from: number
}

function createBars({ terminal, now }: ClientContext): Meter {
  const rows = new Set<Row>()
  let last = Number.NEGATIVE_INFINITY
  let drawn = 0

  function clear(): void {
    if (drawn > 0) terminal.write(`\r\x1b[${drawn}A\x1b[J`)
    drawn = 0
  }

  function lineOf({ blob, bytes, since, from }: Row): string {
    const seconds = since === undefined ? 0 : (now() - since) / 1000
    const speed = seconds > 0.5 ? `  ${bytesText(Math.round((bytes - from) / seconds))}/s` : ''
    const bar = barOf(blob.size === 0 ? 1 : Math.min(bytes / blob.size, 1))
    const line = `${nameOf(blob)}  ${bar}  ${bytesText(bytes)}${speed}`
    // One column stays free, for a line that is full would wrap. A terminal that knows no size says 0.
    return line.slice(0, (terminal.columns || 80) - 1)
  }

  function draw(): void {
    const at = now()
    if (at - last < EVERY) return
    last = at
    const up = drawn === 0 ? '' : `\r\x1b[${drawn}A`
    terminal.write(`${up}\x1b[J${[...rows].map((row) => `${lineOf(row)}\n`).join('')}`)
    drawn = rows.size
  }

  return {
    begin(blob) {
      const row: Row = { blob, bytes: 0, since: undefined, from: 0 }
      rows.add(row)
      return {
        at(bytes) {
          if (row.since === undefined) Object.assign(row, { since: now(), from: bytes })
          row.bytes = bytes
          draw()
        },
        end(action) {
          rows.delete(row)
          clear()
          if (action !== 'failed') terminal.write(`${nameOf(blob)} ${action} (${bytesText(blob.size)})\n`)
          last = Number.NEGATIVE_INFINITY
          if (rows.size > 0) draw()
        },
      }
    },
    clear,
  }
}
