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
/** Milliseconds for what a helper said before it ended: a program that it left behind may hold its output open for ever. */
const LAST_WORDS = 1000
/** Bytes of an answer. Tokens of cloud providers have some thousand. */
const LONGEST_ANSWER = 1024 * 1024
/** Characters of an error of a helper that are shown. */
const LONGEST_REASON = 300

/** The helper `docker-credential-<name>`, found on the PATH of `env`. */
export function credentialHelper(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  timeout = TIMEOUT,
): CredentialHelper {
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
    })
    const texts = [readBounded(child.stdout), readBounded(child.stderr)] as const
    const ended = Promise.withResolvers<never>()
    const end = (reason: string) => {
      child.kill('SIGKILL')
      ended.reject(fails(reason))
    }
    const timer = setTimeout(() => end(`has not answered for ${timeout / 1000} seconds`), timeout)
    const reading = Promise.all(texts.map((text) => text.whole)).catch(() =>
      end(`answered with more than ${LONGEST_ANSWER} bytes`),
    )
    try {
      const code = await Promise.race([child.exited, ended.promise])
      await Promise.race([reading, ended.promise, Bun.sleep(LAST_WORDS)])
      const [out, error] = texts.map((text) => text.soFar().trim())
      if (code === 0) return out
      if (out === NOT_FOUND) return undefined
      throw fails(`failed: ${(out || error || `exit code ${code}`).split('\n', 1)[0]?.slice(0, LONGEST_REASON)}`)
    } finally {
      clearTimeout(timer)
      for (const text of texts) text.leave()
    }
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

interface Bounded {
  /** Rejects where there is more than an answer may have. */
  whole: Promise<void>
  soFar(): string
  leave(): void
}

function readBounded(stream: ReadableStream<Uint8Array>): Bounded {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  const read = async () => {
    let size = 0
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.byteLength
      if (size > LONGEST_ANSWER) throw new Error('too much')
      chunks.push(next.value)
    }
  }
  return {
    whole: read(),
    soFar: () => Buffer.concat(chunks).toString('utf8'),
    leave: () => void reader.cancel().catch(() => {}),
  }
}
