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

export interface LogOptions {
  level: Level
  /** As registry:2 writes them: `text` is logfmt (time, level, msg, then the fields by name), `logstash` is JSON in its version 1. */
  formatter: 'text' | 'json' | 'logstash'
  fields: Fields
  now: () => number
  /** Takes one line, without its line break. */
  write: (line: string) => void
}

const SEVERITY: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 }

export function createLog(options: LogOptions): Log {
  const format = FORMATTERS[options.formatter]
  const lowest = SEVERITY[options.level]

  function logger(base: Fields): Log {
    const at = (level: Level) => (message: string, fields?: Fields) => {
      if (SEVERITY[level] < lowest) return
      const line = format(new Date(options.now()).toISOString(), level, message, { ...base, ...fields })
      // All that can hold such a character is a string of JSON, in text too.
      options.write(visibleJson(line))
    }
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      with: (fields) => logger({ ...base, ...fields }),
    }
  }
  return logger(options.fields)
}

type Formatter = (time: string, level: Level, message: string, fields: Fields) => string

const FORMATTERS: Record<LogOptions['formatter'], Formatter> = {
  text(time, level, msg, fields) {
    const spelled = level === 'warn' ? 'warning' : level
    const rest = Object.keys(fields)
      .sort()
      .map((key) => ` ${key}=${logfmt(plain(fields[key]))}`)
      .join('')
    return `time="${time}" level=${spelled} msg=${logfmt(msg)}${rest}`
  },
  json: (time, level, msg, fields) =>
    JSON.stringify({ ...mapValues(fields), level: level === 'warn' ? 'warning' : level, msg, time }),
  logstash: (time, level, message, fields) =>
    JSON.stringify({
      ...mapValues(fields),
      '@timestamp': time,
      '@version': '1',
      level: level === 'warn' ? 'warning' : level,
      message,
    }),
}

function mapValues(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plain(value)]))
}

/** Errors say what they are and what caused them; their stack is for `debug` of the program, not for its users. */
function plain(value: unknown): unknown {
  if (!(value instanceof Error)) return value
  const cause = value.cause === undefined ? '' : ` (${String(plain(value.cause))})`
  return `${value.name}: ${value.message}${cause}`
}

function logfmt(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return /^[\w./@^+:-]+$/.test(text) ? text : JSON.stringify(text)
}
