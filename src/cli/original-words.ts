import { fileKind } from '../config/file-kind.ts'
import { CommandError } from './error.ts'

export interface Words {
  args: string[]
  /** What was asked for and is not done, for people. */
  notes: string[]
}

/**
 * The habits of the originals' images, in Berth's words: a configuration file alone asks to serve it (`registry:2
 * /etc/.../config.yml`, `docker_auth /config/auth_config.yml`), with glog's flags before it for docker_auth's.
 * Before or after the word `auth` they mean the same. `isCommand`: whether a word is one of Berth's, and no file.
 * @throws CommandError where there are such flags and no file, or a command that has none
 */
export function berthWords(
  args: readonly string[],
  isCommand: (word: string) => boolean,
  kindOf: typeof fileKind = fileKind,
): Words {
  const [first = ''] = args
  const glog = readGlog(first === 'auth' ? args.slice(1) : args)
  if (glog !== undefined) {
    const words = glog.rest[0] === 'auth' ? glog.rest.slice(1) : glog.rest
    const [file] = words
    if (file === undefined) throw new CommandError('Config file not specified; name an auth_config.yml', 2)
    if (first !== 'auth' && glog.rest[0] !== 'auth' && isCommand(file)) {
      throw new CommandError(`${first} is a flag of docker_auth's server, and berth ${file} has none such`, 2, {
        hint: `berth ${file} --help lists its flags; a file of that name is ./${file}`,
      })
    }
    return { args: ['auth', ...words], notes: glog.notes }
  }
  if (!isYaml(first)) return { args: [...args], notes: [] }
  return { args: [kindOf(first) === 'token server' ? 'auth' : 'serve', ...args], notes: [] }
}

/** `registry FILE`, as `registry serve FILE`. */
export function registryWords(args: readonly string[]): string[] {
  return isYaml(args[0] ?? '') ? ['serve', ...args] : [...args]
}

function isYaml(name: string): boolean {
  return /\.ya?ml$/.test(name)
}

const BOOLEAN = ['logtostderr', 'alsologtostderr']
const WITH_VALUE = ['v', 'log_dir', 'stderrthreshold', 'vmodule', 'log_backtrace_at']

/**
 * The flags of glog at the beginning, by the rules of Go's `flag`: one hyphen or two, `-name=value` or `-name value`, and
 * `-name` alone for what is true or false. Undefined when there is none, or another flag stands among them.
 */
function readGlog(args: readonly string[]): { rest: string[]; notes: string[] } | undefined {
  const notes: string[] = []
  let at = 0
  let count = 0
  for (; at < args.length; at++) {
    const arg = args[at] ?? ''
    if (arg === '--') {
      at++
      break
    }
    const match = /^--?([a-z_]+)(?:=(.*))?$/s.exec(arg)
    if (match === null) break
    const [, name = '', written] = match
    const value = written ?? (WITH_VALUE.includes(name) ? args[++at] : 'true')
    if (value === undefined || !isGlog(name, value)) return undefined
    count++
    const note = noteOn(name, value)
    if (note !== undefined) notes.push(note)
  }
  return count === 0 ? undefined : { rest: args.slice(at), notes }
}

/** What Go's `strconv.ParseBool` reads. */
const TRUE = /^(1|t|true)$/i
const FALSE = /^(0|f|false)$/i

function isGlog(name: string, value: string): boolean {
  if (BOOLEAN.includes(name)) return TRUE.test(value) || FALSE.test(value)
  return name === 'v' ? /^\d+$/.test(value) : WITH_VALUE.includes(name)
}

const ON_STDERR = 'the log goes to standard error'

/** Undefined where what is asked for is so in any case: decisions are in the log, and that is standard error. */
function noteOn(name: string, value: string): string | undefined {
  if (BOOLEAN.includes(name)) return FALSE.test(value) ? `--${name}=${value} has no effect: ${ON_STDERR}` : undefined
  if (name === 'v') {
    return Number(value) < 3 ? undefined : `--v=${value} shows no more than --v=2: no password or token is logged`
  }
  if (name === 'log_dir') return `--log_dir has no effect: ${ON_STDERR}, and not to files`
  return `--${name} has no effect: ${ON_STDERR}, and REGISTRY_LOG_LEVEL says how much`
}
