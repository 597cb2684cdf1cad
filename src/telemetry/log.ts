import { callerOf } from './caller.ts'
import { visibleJson } from './visible.ts'

export type Level = 'debug' | 'info' | 'warn' | 'error'
export type Fields = Record<string, unknown>

export interface Log {
  debug(message: string, fields?: Fields): void
  info(message: string, fields?: Fields): void
  warn(message: string, fields?: Fields): void
  error(message: string, fields?: Fields): void
  /** A log that adds these fields to every line. */
  with(fields: Fields): Log
}

/** A log of requests besides. */
export interface RequestLog extends Log {
  /** For lines that come with each request: they may wait for others before they are written. */
  later(level: Level, message: string, fields: Fields): void
  /** Whether lines of that level are written: what is costly to say is not made up for nothing. */
  enabled(level: Level): boolean
}

/** A line as it is told to a hook. */
export interface LogEntry {
  time: string
  level: Level
  message: string
  fields: Fields
}

export interface LogOptions {
  level: Level
  /** As registry:2 writes them: `text` is logfmt (time, level, msg, then the fields by name), `logstash` is JSON in its version 1. */
  formatter: 'text' | 'json' | 'logstash'
  fields: Fields
  now: () => number
  /** Takes one line, without its line break. */
  write: (line: string) => void
  /** The same for lines that may wait; `write` unless told. */
  writeLater?: (line: string) => void
  /** Adds `func` and `file` of whoever logs. */
  reportCaller?: boolean
  /** Hears of every line of `level` and above. */
  hook?: (entry: LogEntry) => void
}

const SEVERITY: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 }

export function createLog(options: LogOptions): RequestLog {
  const { now, write, writeLater = write, reportCaller = false, hook } = options
  const format = FORMATTERS[options.formatter]
  const lowest = SEVERITY[options.level]

  function logger(base: Fields): RequestLog {
    const put = (level: Level, message: string, fields: Fields | undefined, out: (line: string) => void) => {
      const time = new Date(now()).toISOString()
      // Below it are this function and the one of the level.
      const caller = reportCaller ? callerOf(2) : undefined
      const all = { ...base, ...fields, ...caller }
      // All that can hold such a character is a string of JSON, in text too.
      out(visibleJson(format(time, level, message, all)))
      hook?.({ time, level, message, fields: all })
    }
    const at = (level: Level) => (message: string, fields?: Fields) => {
      if (SEVERITY[level] >= lowest) put(level, message, fields, write)
    }
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      later(level, message, fields) {
        if (SEVERITY[level] >= lowest) put(level, message, fields, writeLater)
      },
      enabled: (level) => SEVERITY[level] >= lowest,
      with: (fields) => logger({ ...base, ...fields }),
    }
  }
  return logger(options.fields)
}

/** As registry:2 spells a level. */
export function spelled(level: Level): string {
  return level === 'warn' ? 'warning' : level
}

type Formatter = (time: string, level: Level, message: string, fields: Fields) => string

const FORMATTERS: Record<LogOptions['formatter'], Formatter> = {
  text(time, level, msg, fields) {
    let line = `time="${time}" level=${spelled(level)} msg=${logfmt(msg)}`
    for (const key of Object.keys(fields).sort()) {
      const value = fields[key]
      if (value !== undefined) line += ` ${keyOf(key, TEXT_KEYS)}=${logfmt(plain(value))}`
    }
    return line
  },
  json: (time, level, msg, fields) =>
    JSON.stringify({ ...mapValues(fields, TEXT_KEYS), level: spelled(level), msg, time }),
  logstash: (time, level, message, fields) =>
    JSON.stringify({
      ...mapValues(fields, LOGSTASH_KEYS),
      '@timestamp': time,
      '@version': '1',
      level: spelled(level),
      message,
    }),
}

/** What a line says itself; a field of such a name is `fields.NAME`, as registry:2 has it. */
const TEXT_KEYS = new Set(['time', 'level', 'msg'])
const LOGSTASH_KEYS = new Set(['@timestamp', '@version', 'level', 'message'])

function keyOf(key: string, own: ReadonlySet<string>): string {
  return own.has(key) ? `fields.${key}` : key
}

function mapValues(fields: Fields, own: ReadonlySet<string>): Fields {
  const mapped: Fields = {}
  for (const key of Object.keys(fields)) mapped[keyOf(key, own)] = plain(fields[key])
  return mapped
}

/** Errors say what they are and what caused them; their stack is for `debug` of the program, not for its users. */
export function plain(value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const cause = value.cause === undefined ? '' : ` (${String(plain(value.cause))})`
  return `${value.name}: ${value.message}${cause}`
}

function logfmt(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return /^[\w./@^+-]+$/.test(text) ? text : JSON.stringify(text)
}
