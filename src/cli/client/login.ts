import { Command } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
import { parseRegistry } from '../../upstream/reference.ts'
import { printable, shellWord } from '../table.ts'
import { type ConnectionFlags, connect, connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'

interface LoginFlags extends ConnectionFlags {
  username?: string
  password?: string
  passwordStdin?: true
  identityToken?: string
  identityTokenStdin?: true
  skipCheck?: true
}

/** Bytes of a password on standard input; a token of a cloud may have thousands. */
const MAX_PASSWORD = 64 * 1024

export function loginCommand(context: ClientContext): Command {
  return connectionOptions(new Command('login').argument('<registry>', 'HOST or HOST:PORT'))
    .option('-u, --username <name>')
    .option('-p, --password <password>', 'others on this machine may see it there; - reads standard input')
    .option('--password-stdin', 'read the password from standard input; needs --username')
    .option(
      '--identity-token <token>',
      'a refresh token of the token server in place of a password; others may see it there',
    )
    .option('--identity-token-stdin', 'read a refresh token from standard input')
    .option('--skip-check', 'keep it without asking the registry, which may not run yet')
    .action(async (server: string, flags: LoginFlags) => {
      const registry = parseRegistry(server)
      if (!flags.skipCheck && (await isLoggedIn(context, registry, flags))) {
        context.error('Authenticating with existing credentials...\n')
        context.out('Login Succeeded\n')
        return
      }
      const as = (await tokenOf(context, flags)) ?? (await credentialsOf(context, registry, flags))
      const upstream = connect(context, flags, as)
      const isToken = 'identityToken' in as
      const fresh = flags.skipCheck
        ? undefined
        : await checked(upstream.authorization.login(registry), registry, isToken)
      const refreshToken = fresh ?? (isToken ? as.identityToken : undefined)
      const place = await upstream.credentials.store(
        registry,
        refreshToken === undefined || isToken
          ? { ...as, ...(isToken && refreshToken !== undefined ? { identityToken: refreshToken } : {}) }
          : { username: as.username, identityToken: refreshToken },
      )
      const what = isToken
        ? 'The token'
        : refreshToken === undefined
          ? 'The password'
          : 'A token in place of the password'
      context.error(`${what} is kept in ${place}.\n`)
      if (flags.skipCheck) context.error(`${registry} was not asked whether it lets anybody in with that.\n`)
      else context.out('Login Succeeded\n')
    })
}

/** docker tries what it has before it asks for anything. */
async function isLoggedIn(context: ClientContext, registry: string, flags: LoginFlags): Promise<boolean> {
  const { username, password, passwordStdin, identityToken, identityTokenStdin } = flags
  if ([username, password, passwordStdin, identityToken, identityTokenStdin].some((given) => given !== undefined)) {
    return false
  }
  const upstream = connect(context, flags)
  if ((await upstream.credentials.find(registry)) === undefined) return false
  return await upstream.authorization.login(registry).then(
    () => true,
    (error: unknown) => {
      if (error instanceof UpstreamError && error.fault === 'unauthorized') return false
      throw error
    },
  )
}

/** Undefined: no token is named. */
async function tokenOf(context: ClientContext, flags: LoginFlags) {
  const { username = '', identityToken, identityTokenStdin } = flags
  if (identityToken === undefined && !identityTokenStdin) return undefined
  if (flags.password !== undefined || flags.passwordStdin || (identityToken !== undefined && identityTokenStdin)) {
    throw usage('name one secret: a password or a token, and one place that it is in')
  }
  if (identityToken !== undefined) {
    context.error('warning: --identity-token shows the token to others on this machine; use --identity-token-stdin\n')
  }
  const token = identityToken ?? (await context.readInput(MAX_PASSWORD)).trim()
  if (token === '') throw usage('the token is empty')
  return { username, identityToken: token }
}

async function credentialsOf(context: ClientContext, registry: string, flags: LoginFlags) {
  const { username, password, passwordStdin } = flags
  if (password !== undefined && passwordStdin) throw usage('--password and --password-stdin cannot go together')
  if (passwordStdin && username === undefined) throw usage('--password-stdin needs --username')
  if (password === '-' || passwordStdin) {
    const input = await context.readInput(MAX_PASSWORD)
    // Exactly one line's end is cut, as docker does.
    return given(username ?? (await asked(context, 'Username: ', registry)), input.replace(/\r?\n$/, ''))
  }
  if (password !== undefined) {
    context.error('warning: --password shows the password to others on this machine; use --password-stdin\n')
  }
  const name = username ?? (await asked(context, 'Username: ', registry))
  return given(name, password ?? (await asked(context, 'Password: ', registry, name)))
}

/** `name`: whose password is asked for, where it is known. */
async function asked(context: ClientContext, question: 'Username: ' | 'Password: ', registry: string, name?: string) {
  if (!context.canAsk) {
    const what = name === undefined ? 'a name and a password' : `the password of ${printable(name)}`
    const username = name === undefined ? 'NAME' : shellWord(printable(name))
    throw usage(
      `there is no terminal to ask for ${what}`,
      `printf %s "$PASSWORD" | berth login ${registry} --username ${username} --password-stdin`,
    )
  }
  return question === 'Username: ' ? (await context.ask(question)).trim() : await context.askPassword(question)
}

function given(username: string, password: string): { username: string; password: string } {
  if (username === '') throw usage('the name of the user is empty')
  if (username.includes(':')) throw usage('the name of a user cannot have a colon: Basic authentication ends it there')
  if (password === '') throw usage('the password is empty')
  return { username, password }
}

/** A hint to log in would not help whoever does. */
async function checked<T>(work: Promise<T>, registry: string, isToken: boolean): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.fault !== 'unauthorized') throw error
    throw new UpstreamError(
      'unauthorized',
      `${registry} does not accept this ${isToken ? 'token' : 'name and password'}`,
      {
        hint: isToken ? 'it may have ended, or been revoked; nothing was stored' : 'check both; nothing was stored',
        cause: error,
      },
    )
  }
}

function usage(message: string, hint?: string): UpstreamError {
  return new UpstreamError('usage', message, { hint })
}
