import { UpstreamError } from './error.ts'

/** A program that keeps secrets for docker (docker-credential-helpers, "Development"). */
export interface CredentialHelper {
  /** Undefined when it knows nothing of the server. @throws UpstreamError when it fails */
  get(server: string): Promise<{ username: string; secret: string } | undefined>
  store(server: string, username: string, secret: string): Promise<void>
  /** One that it does not know is no error. */
  erase(server: string): Promise<void>
}

/** The words by which a helper says that it has nothing; it says so on standard output. */
const NOT_FOUND = 'credentials not found in native keychain'
/** Milliseconds: it may have to ask a person. */
const TIMEOUT = 60_000

/** The helper `docker-credential-<name>`, found on the PATH of `env`. */
export function credentialHelper(name: string, env: Readonly<Record<string, string | undefined>>): CredentialHelper {
  const command = `docker-credential-${name}`
  const fails = (reason: string, cause?: unknown) =>
    new UpstreamError('failed', `the credential helper ${command} ${reason}`, {
      hint: 'it is named by credHelpers or credsStore of the configuration file of docker',
      cause,
    })

  async function run(verb: 'get' | 'store' | 'erase', input: string): Promise<string | undefined> {
    // A name with a slash would start a program from anywhere.
    if (!/^[\w.-]+$/.test(name)) throw fails('has no valid name')
    const program = Bun.which(command, { PATH: env.PATH ?? '' })
    if (program === null) throw fails('is not installed')
    const child = Bun.spawn([program, verb], {
      env: env as Record<string, string>,
      stdin: new TextEncoder().encode(input),
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: TIMEOUT,
    })
    const [code, out, error] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
    if (code === 0) return out
    if (out.trim() === NOT_FOUND) return undefined
    throw fails(`failed: ${(out.trim() || error.trim() || `exit code ${code}`).split('\n', 1)[0]}`)
  }

  return {
    async get(server) {
      const out = await run('get', server)
      if (out === undefined) return undefined
      try {
        const { Username: username, Secret: secret } = JSON.parse(out) as Record<string, unknown>
        if (typeof username === 'string' && typeof secret === 'string') return { username, secret }
      } catch (error) {
        throw fails('answered something that is no JSON', error)
      }
      throw fails('answered without Username and Secret')
    },
    async store(server, username, secret) {
      await run('store', JSON.stringify({ ServerURL: server, Username: username, Secret: secret }))
    },
    async erase(server) {
      await run('erase', server)
    },
  }
}
