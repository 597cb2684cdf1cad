import type { LogConfig, MailHook } from './config.ts'
import type { Distribution } from './distribution.ts'
import type { Path } from './node.ts'
import type { Places } from './places.ts'

const LEVELS = ['error', 'warn', 'info', 'debug'] as const
const LEVEL_FIX = `Must be one of ${LEVELS.join(', ')}.`

export function resolveLog(raw: Pick<Distribution, 'log' | 'loglevel'>, places: Places): LogConfig {
  const isOld = !raw.log.level
  const text = raw.log.level || raw.loglevel || 'info'
  const level = levelOf(text)
  if (level === undefined)
    places.problem(isOld ? ['loglevel'] : ['log', 'level'], `invalid loglevel ${text}`, LEVEL_FIX)
  return {
    level: level ?? 'info',
    formatter: raw.log.formatter,
    fields: raw.log.fields,
    accessLog: !raw.log.accesslog.disabled,
    requests: !raw.log.requests.disabled,
    reportCaller: raw.log.reportcaller,
    mails: raw.log.hooks.flatMap((hook, index) => resolveHook(hook, ['log', 'hooks', index], places) ?? []),
  }
}

function levelOf(text: string): LogConfig['level'] | undefined {
  const plain = text.toLowerCase()
  return LEVELS.find((one) => one === (plain === 'warning' ? 'warn' : plain))
}

/** distribution's name of levels that no line of Berth has. */
const HIGHER = ['panic', 'fatal']

function resolveHook(
  { disabled, type, levels, options }: Distribution['log']['hooks'][number],
  path: Path,
  places: Places,
): MailHook | undefined {
  if (disabled) return undefined
  if (type !== 'mail') {
    places.problem([...path, 'type'], `${JSON.stringify(type ?? '')} is no kind of hook`, 'Write mail.')
    return undefined
  }
  const known = levels.flatMap((text, index) => {
    const level = levelOf(text)
    if (level !== undefined) return [level]
    const here = [...path, 'levels', index]
    if (HIGHER.includes(text.toLowerCase())) {
      places.warn(here, `no line has the level ${text} here: what is that bad is an error`, 'Write error.')
      return ['error' as const]
    }
    places.problem(here, `invalid loglevel ${text}`, LEVEL_FIX)
    return []
  })
  if (levels.length === 0) places.problem([...path, 'levels'], 'names no level', 'Write levels: [error].')
  const { smtp, from = '', to = [] } = options ?? {}
  const address = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(smtp?.addr ?? '')
  const port = Number(address?.[3])
  if (address === null || port < 1 || port > 65_535) {
    const message = 'must name the mail server'
    places.problem([...path, 'options', 'smtp', 'addr'], message, 'Write HOST:PORT, such as mail.example.com:587.')
  }
  if (!isMailbox(from)) {
    places.problem([...path, 'options', 'from'], 'must be the sender, an address such as registry@example.com')
  }
  if (to.length === 0 || !to.every(isMailbox)) {
    places.problem([...path, 'options', 'to'], 'must list the receivers, addresses such as ops@example.com')
  }
  return {
    levels: [...new Set(known)],
    host: address?.[1] ?? address?.[2] ?? '',
    port,
    username: smtp?.username || undefined,
    password: smtp?.password || undefined,
    insecure: smtp?.insecure ?? false,
    from,
    to,
  }
}

function isMailbox(text: string): boolean {
  return /^[^\s<>@,;:"]+@[^\s<>@,;:"]+$/.test(text)
}
