import { existsSync } from 'node:fs'
import { Command, Option } from 'commander'
import { CommandError } from './error.ts'
import { type HtpasswdContext, htpasswdOfProcess, parseCost } from './htpasswd.ts'
import { printable } from './table.ts'

interface Flags {
  /** Commander's names are the letters. */
  c?: true
  n?: true
  b?: true
  i?: true
  B?: true
  C: number
  D?: true
  v?: true
}

const OWN = ['add', 'rm', 'verify', 'list', 'ls', 'help', '-h', '--help']

/** Whether arguments of `htpasswd` are Apache's, and not a command of Berth's own. */
export function isApaches(args: readonly string[]): boolean {
  const [first = '', second] = args
  return !OWN.includes(first) && (first.startsWith('-') || second !== undefined)
}

/** Hashes that no registry takes. */
const OTHERS = { m: 'MD5', 2: 'SHA-256', 5: 'SHA-512', d: 'crypt', s: 'SHA-1', p: 'plain text' } as const

/** Exit codes of Apache's htpasswd (support/htpasswd.c): wrong usage, a wrong password, a name that cannot be. */
const [SYNTAX, WRONG, BAD_USER] = [2, 3, 6]

/**
 * Apache's `htpasswd`, by its own options and exit codes, as images of registry:2 had it (`htpasswd -Bbn USER PASSWORD`). All
 * hashes are bcrypt, at a cost of 10 unless `-C` says otherwise.
 */
export function apacheHtpasswdCommand(context: HtpasswdContext = htpasswdOfProcess): Command {
  const command = new Command('htpasswd')
    .usage('[-ciBDv] [-C COST] FILE USER | -b[cBDv] FILE USER PASSWORD | -n[iB] USER | -nb[B] USER PASSWORD')
    .argument('<operands...>')
    // As getopt reads them: what stands behind the first operand may begin with a hyphen (a password).
    .passThroughOptions()
    .option('-c', 'a file with this user alone')
    .option('-n', 'to standard output, and into no file')
    .option('-b', 'the password is the last operand')
    .option('-i', 'the password is the first line of standard input')
    .option('-B', 'bcrypt, as always')
    .option('-C <cost>', 'cost of bcrypt', parseCost, 10)
    .option('-D', 'remove the user')
    .option('-v', 'whether the password is right')
  for (const letter of Object.keys(OTHERS)) command.addOption(new Option(`-${letter}`).hideHelp())
  return command.action(async (operands: string[], flags: Flags) => {
    refuseOthers(flags)
    const { file, user, password } = readOperands(operands, flags)
    const { nameFault } = await import('../run-htpasswd.ts')
    const fault = nameFault(user)
    if (fault !== undefined) throw new CommandError(fault, BAD_USER)
    const ask = async (prompt: string, twice: boolean) =>
      password ?? (await context.readPassword(prompt, { twice, stdin: flags.i }))
    if (file === undefined) await print(user, await ask('New password: ', true), flags, context)
    else if (flags.D) await remove(file, user, context)
    else if (flags.v) await verify(file, user, await ask('Enter password: ', false), context)
    else await put(file, user, await ask('New password: ', true), flags, context)
  })
}

/** @throws CommandError */
function refuseOthers(flags: Flags): void {
  const other = Object.entries(OTHERS).find(([letter]) => letter in flags)
  if (other === undefined) return
  const [letter, hash] = other
  throw new CommandError(`-${letter} asks for ${hash}, which no registry takes as a password; use -B (bcrypt)`, SYNTAX)
}

/** @throws CommandError */
function readOperands(operands: readonly string[], { n, b, i, c, D, v }: Flags) {
  const problem =
    (b && i && '-b and -i exclude each other') ||
    (n && (c || D || v) && '-n excludes -c, -D and -v') ||
    ([c, D, v].filter(Boolean).length > 1 && '-c, -D and -v exclude each other')
  if (problem) throw new CommandError(problem, SYNTAX)
  const names = [...(n ? [] : ['FILE']), 'USER', ...(b && !D ? ['PASSWORD'] : [])]
  if (operands.length !== names.length) {
    throw new CommandError(`expected ${names.join(' ')}, got ${operands.length} operands (htpasswd --help)`, SYNTAX)
  }
  const at = (name: string): string | undefined => operands[names.indexOf(name)]
  return { file: at('FILE'), user: at('USER') ?? '', password: at('PASSWORD') }
}

async function print(user: string, password: string, { C }: Flags, context: HtpasswdContext): Promise<void> {
  await checkPassword(password, context)
  const { htpasswdLine } = await import('../run-htpasswd.ts')
  // Apache's ends with an empty line.
  context.out(`${await htpasswdLine(user, password, C)}\n\n`)
}

async function put(file: string, user: string, password: string, { c, C }: Flags, context: HtpasswdContext) {
  await checkPassword(password, context)
  const { addHtpasswdUser } = await import('../run-htpasswd.ts')
  if (!c && !existsSync(file)) throw new CommandError(`cannot modify file ${file}; use '-c' to create it`)
  const { known } = await addHtpasswdUser(file, user, password, C, { alone: c === true })
  context.error(`${known ? 'Updating' : 'Adding'} password for user ${printable(user)}\n`)
}

async function remove(file: string, user: string, context: HtpasswdContext): Promise<void> {
  const { removeHtpasswdUser } = await import('../run-htpasswd.ts')
  const known = removeHtpasswdUser(file, user)
  context.error(known ? `Deleting password for user ${printable(user)}\n` : `User ${printable(user)} not found\n`)
}

async function verify(file: string, user: string, password: string, context: HtpasswdContext): Promise<void> {
  const { checkHtpasswdUser } = await import('../run-htpasswd.ts')
  const verdict = await checkHtpasswdUser(file, user, password)
  if (verdict === 'unknown') throw new CommandError(`User ${printable(user)} not found`, BAD_USER)
  if (verdict !== 'right') {
    const why = verdict === 'wrong' ? 'password verification failed' : `the hash is ${verdict.kind}, not bcrypt`
    throw new CommandError(why, WRONG)
  }
  context.error(`Password for user ${printable(user)} correct.\n`)
}

/** @throws CommandError */
async function checkPassword(password: string, context: HtpasswdContext): Promise<void> {
  if (password === '') throw new CommandError('a password cannot be empty', SYNTAX)
  if (password.includes('\0')) throw new CommandError('a password cannot hold a NUL', SYNTAX)
  const { isCut } = await import('../run-htpasswd.ts')
  if (isCut(password)) context.error('note: of a password only the first 72 bytes count in bcrypt\n')
}
