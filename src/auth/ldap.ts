import { readFile } from 'node:fs/promises'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import * as tls from 'node:tls'
import type { Client, Entry, Filter } from 'ldapts'
import { type Authenticator, type Labels, type Outcome, UnavailableError } from './authenticator.ts'
import { fillDn, isAccountName, type LabelSource, labelsOf, parseFilterTemplate, valuesOfEntry } from './ldap-filter.ts'

export interface LdapOptions {
  /** Asked in order until one answers; the one that answered last is asked first. */
  servers: readonly { host: string; port: number }[]
  /** `none`, `starttls`, or `always` (LDAPS). */
  tls: 'none' | 'starttls' | 'always'
  insecureTlsSkipVerify: boolean
  /** A file of PEM certificates that stand in place of the system's; read at each connection. */
  caCertificate: string | undefined
  /** The account that searches, `''` for an anonymous search. May hold `${account}` when `initialBindAsUser`. */
  bindDn: string
  /** Read at each bind, without the line end. */
  bindPasswordFile: string | undefined
  initialBindAsUser: boolean
  base: string
  /** RFC 4515, with `${account}`. */
  filter: string
  labels: Readonly<Record<string, LabelSource>>
  /** Milliseconds for one question, however many servers are asked. */
  timeoutMs: number
}

/** Logins and searches at once, each with a connection at most; more wait. */
const MAX_ACTIVE = 8
const MAX_WAITING = 256
/** Firewalls forget connections that are silent for longer, without telling either end. */
const IDLE_MS = 60_000
/** Result codes of RFC 4511 section 4.1.9. Where a server is busy or unavailable, another may do better. */
const INVALID_CREDENTIALS = 49
const BUSY_OR_UNAVAILABLE: readonly number[] = [51, 52]

/** A connection to a server, with TLS if configured, whose every operation has a limit of time. */
interface Link {
  readonly server: number
  isOpen(): boolean
  /** @throws what the operation throws, or an Error when the time is over; the connection is then closed. */
  run<T>(ms: number, operation: (client: Client) => Promise<T>): Promise<T>
  end(): void
}

/** Milliseconds that are left of a limit, at least 1. */
type Left = () => number

interface Found {
  dn: string
  labels: Labels
}

/**
 * Users of an LDAP directory: a search for the account, then a bind as the entry that was found. An empty account or
 * password asks nobody, for a bind without a password succeeds as anonymous (RFC 4513 section 5.1.2).
 *
 * A connection for searches is kept; each login has one of its own for its bind. With `initialBindAsUser` there is no
 * account that may search, so everything is asked on the user's connection, and there is no `find`.
 */
export function createLdapAuthenticator(
  options: LdapOptions & { warn?: (message: string, fields: Record<string, unknown>) => void },
): Authenticator {
  const { servers, timeoutMs, warn } = options
  const filter = parseFilterTemplate(options.filter)
  const wanted = [...new Set([...filter.attributes, ...Object.values(options.labels).map((label) => label.attribute)])]
  const waiting: (() => void)[] = []
  let active = 0
  let systemRoots: tls.SecureContext | undefined
  let preferred = 0
  let reader: Link | undefined
  let opening: Promise<Link> | undefined
  let idle: ReturnType<typeof setTimeout> | undefined
  let closed = false

  async function tlsOptions(host: string): Promise<tls.ConnectionOptions> {
    const name = { host, ...(isIP(host) === 0 ? { servername: host } : {}) }
    if (options.insecureTlsSkipVerify) return { ...name, rejectUnauthorized: false }
    if (options.caCertificate !== undefined) return { ...name, ca: await readFile(options.caCertificate, 'utf8') }
    // The runtime knows its own roots alone, and a company's stand in the system's.
    systemRoots ??= tls.createSecureContext({ ca: [...tls.rootCertificates, ...tls.getCACertificates('system')] })
    return { ...name, secureContext: systemRoots }
  }

  async function secure(socket: Socket, host: string): Promise<Socket> {
    const safe = tls.connect({ ...(await tlsOptions(host)), socket })
    await ready(safe, 'secureConnect')
    if (options.insecureTlsSkipVerify) return safe
    // Once more by hand, whatever the runtime makes of a socket that was already connected.
    const problem = safe.authorized ? tls.checkServerIdentity(host, safe.getPeerCertificate()) : safe.authorizationError
    if (problem) throw new Error(`the certificate is not trusted: ${problem}`)
    return safe
  }

  /** @throws Error when this server does not answer properly within `ms`. */
  async function dial(server: number, ms: number): Promise<Link> {
    const { host, port } = servers[server] ?? { host: '', port: 0 }
    // Here and below: loaded at the first question, for a start must be quick.
    const { Client } = await import('ldapts')
    const plain = connectTcp({ host, port, noDelay: true, keepAlive: true })
    plain.on('error', () => {})
    // The library would connect again by itself, and then without TLS: each of its clients gets one socket, ever.
    const clientOn = (socket: Socket) => {
      const sockets = [socket]
      const createConnection = () => {
        const next = sockets.pop()
        if (next === undefined) throw new Error('the connection is closed')
        return next
      }
      return new Client({ url: 'ldap://server', createConnection })
    }
    async function start(): Promise<Socket> {
      await ready(plain, 'connect')
      if (options.tls === 'none') return plain
      if (options.tls === 'starttls') {
        // RFC 4511 section 4.14. By a client of its own: what came in clear must not be read as if it came by TLS.
        await clientOn(plain).exop('1.3.6.1.4.1.1466.20037')
        plain.removeAllListeners('data')
      }
      return await secure(plain, host)
    }
    const socket = await within(ms, start(), () => plain.destroy()).catch((cause: unknown) => {
      plain.destroy()
      // Not as it is: a refused StartTLS has a result code, and is no answer.
      throw new Error(messageOf(cause))
    })
    const client = clientOn(socket)
    const cut = () => [socket, plain].map((one) => one.destroy())
    return {
      server,
      isOpen: () => !socket.destroyed && socket.writable,
      run: async (limit, operation) => await within(limit, operation(client), cut),
      end() {
        // RFC 4511 section 4.3; a server that does not read must not keep the socket.
        client.unbind().catch(() => {})
        setTimeout(cut, 1000).unref()
      },
    }
  }

  /**
   * Connects to one server after the other until one answers, each with its share of the time; the connection ends
   * with the question unless it became the reader.
   * @throws UnavailableError
   */
  async function onSomeServer<T>(left: Left, ask: (link: Link, left: Left) => Promise<T>): Promise<T> {
    const first = preferred
    let last: unknown
    for (let tried = 0; tried < servers.length; tried++) {
      const server = (first + tried) % servers.length
      const share = limit(left() / (servers.length - tried))
      let link: Link | undefined
      try {
        link = await dial(server, share())
        const answer = await ask(link, share)
        preferred = server
        return answer
      } catch (cause) {
        if (isAnswer(cause)) throw unavailable(cause)
        last = cause
        const { host, port } = servers[server] ?? {}
        warn?.('this LDAP server does not answer', { server: `${host}:${port}`, error: messageOf(cause) })
      } finally {
        if (link !== reader) link?.end()
      }
    }
    throw unavailable(last)
  }

  /** Whether the password is the account's. @throws what the library throws, except for "no" */
  async function bind(client: Client, dn: string, password: string): Promise<boolean> {
    const { SASL_MECHANISMS } = await import('ldapts')
    // The library takes these words for another kind of bind, which has no password; no server takes them for a DN.
    if (SASL_MECHANISMS.some((mechanism) => mechanism === dn)) return false
    try {
      await client.bind(dn, password)
      return true
    } catch (cause) {
      if (resultCodeOf(cause) === INVALID_CREDENTIALS) return false
      throw cause
    }
  }

  async function bindReader(client: Client): Promise<void> {
    const { bindDn, bindPasswordFile: file } = options
    if (bindDn === '') return
    let password: string
    try {
      password = file === undefined ? '' : (await readFile(file, 'utf8')).replace(/[\r\n]+$/, '')
    } catch (cause) {
      throw new UnavailableError('the password of the LDAP search account cannot be read', { cause })
    }
    if (password === '') throw new UnavailableError('the LDAP search account has no password')
    if (!(await bind(client, bindDn, password)))
      throw new UnavailableError('the LDAP server refuses the search account')
  }

  function dropReader(link: Link): void {
    if (reader === link) reader = undefined
    link.end()
  }

  /** The kept connection, or a new one that all who need it share. */
  async function currentReader(left: Left): Promise<Link> {
    if (closed) throw new UnavailableError('LDAP is closed')
    if (reader?.isOpen()) return reader
    opening ??= onSomeServer(limit(timeoutMs), async (link, share) => {
      await link.run(share(), bindReader)
      if (!closed) reader = link
      return link
    }).finally(() => {
      opening = undefined
    })
    return await within(left(), opening, () => {})
  }

  /** The search without the user's password, once more on a new connection if the first one broke. */
  async function look(account: string, left: Left): Promise<Found | undefined> {
    const query = await queryFor(account)
    for (let attempt = 1; ; attempt++) {
      const kept = reader
      const link = await currentReader(left)
      clearTimeout(idle)
      idle = setTimeout(() => dropReader(link), Math.max(IDLE_MS, timeoutMs)).unref()
      try {
        const entries = await link.run(attempt === 1 ? left() / 2 : left(), query)
        return only(account, entries)
      } catch (cause) {
        if (cause instanceof UnavailableError) throw cause
        dropReader(link)
        const answered = isAnswer(cause)
        if (!answered) preferred = (link.server + 1) % servers.length
        // What a kept connection says may be about the connection: it lost its bind, say.
        if (attempt === 2 || (answered && link !== kept)) throw unavailable(cause)
      }
    }
  }

  async function queryFor(account: string): Promise<(client: Client) => Promise<Entry[]>> {
    const { FilterParser } = await import('ldapts')
    let parsed: Filter
    try {
      parsed = FilterParser.parseString(filter.fill(account))
    } catch (cause) {
      throw new UnavailableError('the LDAP filter is not one', { cause })
    }
    return async (client) => {
      const found = await client.search(options.base, {
        scope: 'sub',
        filter: parsed,
        // RFC 4511 section 4.5.1.8: none at all has a name, for an empty list is all.
        attributes: wanted.length === 0 ? ['1.1'] : wanted,
        // Two are already too many.
        sizeLimit: 2,
        timeLimit: Math.ceil(timeoutMs / 1000),
      })
      return found.searchEntries
    }
  }

  function only(account: string, entries: readonly Entry[]): Found | undefined {
    const [entry] = entries
    if (entry === undefined) return undefined
    if (entries.length > 1) throw new UnavailableError('Too many entries returned.')
    // A bind with no name is anonymous.
    if (entry.dn === '') throw new UnavailableError('the LDAP server found an entry without a name')
    const valuesOf = valuesOfEntry(entry)
    if (!filter.isNamed(account, valuesOf)) {
      const hidden = filter.attributes.every((attribute) => valuesOf(attribute).length === 0)
      const why = hidden ? 'the search account may not read the attribute' : 'the directory spells the name differently'
      warn?.(`this user cannot log in: ${why}`, { account, attributes: filter.attributes })
      return undefined
    }
    return { dn: entry.dn, labels: labelsOf(options.labels, valuesOf) }
  }

  async function logIn(account: string, password: string, left: Left): Promise<Outcome> {
    const asUser = async (ask: (client: Client) => Promise<Outcome>): Promise<Outcome> =>
      await onSomeServer(left, async (link, share) => await link.run(share(), ask))
    const check = async (client: Client, { dn, labels }: Found): Promise<Outcome> =>
      (await bind(client, dn, password)) ? { kind: 'yes', labels } : 'wrong-password'

    if (options.initialBindAsUser) {
      const query = await queryFor(account)
      return await asUser(async (client) => {
        if (!(await bind(client, fillDn(options.bindDn, account), password))) return 'wrong-password'
        const found = only(account, await query(client))
        // A second bind, for the labels must be those of the entry whose password this is.
        return found === undefined ? 'no-match' : await check(client, found)
      })
    }
    const found = await look(account, left)
    return found === undefined ? 'no-match' : await asUser(async (client) => await check(client, found))
  }

  async function takeTurn(ms: number): Promise<void> {
    if (++active <= MAX_ACTIVE) return
    active--
    if (waiting.length >= MAX_WAITING) throw new UnavailableError('too many LDAP logins are waiting')
    const turn = Promise.withResolvers<void>()
    waiting.push(turn.resolve)
    await within(ms, turn.promise, () => waiting.splice(waiting.indexOf(turn.resolve), 1))
  }

  /** One question, in its turn and within the time. @throws UnavailableError */
  async function ask<T>(question: (left: Left) => Promise<T>): Promise<T> {
    const left = limit(timeoutMs)
    let mine = false
    try {
      await takeTurn(left())
      mine = true
      return await question(left)
    } catch (cause) {
      throw unavailable(cause)
    } finally {
      // The turn goes to the one that waited longest, so `active` stays.
      const next = mine ? waiting.shift() : undefined
      if (next !== undefined) next()
      else if (mine) active--
    }
  }

  return {
    name: 'ldap',
    async authenticate(account, password) {
      // A server written in C may see an empty password in front of a NUL.
      if (!isAccountName(account) || password === '' || password.includes('\0')) return 'no-match'
      return await ask((left) => logIn(account, password, left))
    },
    ...(options.initialBindAsUser
      ? {}
      : {
          async find(account: string) {
            if (!isAccountName(account)) return undefined
            const found = await ask((left) => look(account, left))
            // A directory shows no password.
            return found && { labels: found.labels, stamp: '' }
          },
        }),
    async close() {
      closed = true
      clearTimeout(idle)
      if (reader !== undefined) dropReader(reader)
    },
  }
}

/** The result code of RFC 4511 in an error of the library; its other errors, and those of sockets, have no number. */
function resultCodeOf(cause: unknown): number | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'number' ? cause.code : undefined
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Whether a server spoke (even if it said no), so that there is no use in asking another. */
function isAnswer(cause: unknown): boolean {
  const code = resultCodeOf(cause)
  return cause instanceof UnavailableError || (code !== undefined && !BUSY_OR_UNAVAILABLE.includes(code))
}

function unavailable(cause: unknown): UnavailableError {
  if (cause instanceof UnavailableError) return cause
  const code = resultCodeOf(cause)
  const text = code === undefined ? 'no LDAP server answers' : `the LDAP server answered with result code ${code}`
  return new UnavailableError(text, { cause })
}

/** A socket that is connected, with TLS after `secureConnect`. @throws Error when it fails or closes first. */
async function ready(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once(event, resolve)
    // It stays, for an error without a listener would end the process.
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the server closed the connection')))
  })
}

function limit(ms: number): Left {
  const end = performance.now() + ms
  return () => Math.max(1, end - performance.now())
}

async function within<T>(ms: number, work: Promise<T>, stop: () => unknown): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    late.reject(new Error('the time is over'))
    stop()
  }, ms)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
