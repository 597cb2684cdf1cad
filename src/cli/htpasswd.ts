import { Command, InvalidArgumentError } from 'commander'
import { CommandError } from './error.ts'
import { writeListing } from './listing.ts'
import { type PasswordQuestion, readPassword } from './password-prompt.ts'
import { printable, shellWord } from './table.ts'

/** What the command needs of the process, as arguments for tests. */
export interface HtpasswdContext {
  out(text: string): void
  error(text: string): void
  /** @throws CommandError */
  readPassword(prompt: string, question: PasswordQuestion): Promise<string>
}

export const htpasswdOfProcess: HtpasswdContext = {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  readPassword,
}

interface PasswordFlags {
  passwordStdin?: true
}

const LEAST_COST = 4
/** As Apache's htpasswd: a check at cost 17 takes seconds. */
const MOST_COST = 17

/** `berth htpasswd`: files of users for `auth.htpasswd`, without Apache's tool. */
export function htpasswdCommand(context: HtpasswdContext = htpasswdOfProcess): Command {
  const command = new Command('htpasswd').description('change or check a file of users and bcrypt hashes')

  passwordOption(operands(command.command('add').description('add a user, or give one a new password')))
    .option('--cost <n>', `cost of bcrypt, ${LEAST_COST} to ${MOST_COST}`, parseCost, 10)
    .action(async (file: string, user: string, { cost, passwordStdin: stdin }: { cost: number } & PasswordFlags) => {
      const { addHtpasswdUser, isCut, nameFault } = await import('../run-htpasswd.ts')
      const fault = nameFault(user)
      if (fault !== undefined) throw new CommandError(fault, 2)
      const password = await context.readPassword(`New password for ${user}: `, { twice: true, stdin })
      if (password === '') throw new CommandError('a password cannot be empty')
      if (password.includes('\0')) throw new CommandError('a password cannot hold a NUL')
      if (isCut(password)) context.error('note: of a password only the first 72 bytes count in bcrypt\n')
      const { made, known } = await addHtpasswdUser(file, user, password, cost)
      const done = known ? `The password of ${user} is changed.` : `The user ${user} is added.`
      const place = made
        ? ` ${file} is made; only its owner may read it (chmod 644 lets a registry that is another user).`
        : ''
      context.error(`${printable(done + place)}\n`)
    })

  operands(command.command('rm').description('remove a user')).action(async (file: string, user: string) => {
    const { removeHtpasswdUser } = await import('../run-htpasswd.ts')
    if (!removeHtpasswdUser(file, user)) throw new CommandError(`${file} has no user ${printable(user)}`)
    context.error(`The user ${printable(user)} is removed.\n`)
  })

  passwordOption(
    operands(command.command('verify').description('whether a password is right: exit code 0, or 1')),
  ).action(async (file: string, user: string, { passwordStdin: stdin }: PasswordFlags) => {
    const { checkHtpasswdUser } = await import('../run-htpasswd.ts')
    const password = await context.readPassword(`Password of ${user}: `, { twice: false, stdin })
    const verdict = await checkHtpasswdUser(file, user, password)
    const name = printable(user)
    if (verdict === 'right') context.error(`The password of ${name} is right.\n`)
    else if (verdict === 'wrong') throw new CommandError(`the password of ${name} is wrong`)
    else if (verdict === 'unknown') throw new CommandError(`${file} has no user ${name}`)
    else {
      const remedy = `give ${name} a new password with: berth htpasswd add`
      throw new CommandError(`the hash of ${name} is ${verdict.kind}, which no registry takes; ${remedy}`)
    }
  })

  command
    .command('list')
    .alias('ls')
    .description('list users, and how their passwords are hashed')
    .argument('<file>')
    .action(async (file: string) => {
      const { listHtpasswdUsers } = await import('../run-htpasswd.ts')
      const rows = listHtpasswdUsers(file).map(({ name, kind }) => [name, kind])
      const empty = `${file} has no users: berth htpasswd add ${shellWord(printable(file))} USER`
      writeListing(context, { titles: ['NAME', 'HASH'], rows, keep: ['NAME'], empty }, undefined)
    })
  return command
}

function operands(command: Command): Command {
  return command.argument('<file>').argument('<user>')
}

function passwordOption(command: Command): Command {
  return command.option('--password-stdin', 'the password is the first line of standard input')
}

/** @throws InvalidArgumentError */
export function parseCost(text: string): number {
  const cost = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN
  if (cost >= LEAST_COST && cost <= MOST_COST) return cost
  throw new InvalidArgumentError(`It is a number from ${LEAST_COST} to ${MOST_COST}.`)
}
