import type { Document, MongoClient, MongoClientOptions } from 'mongodb'
import { UnavailableError } from './authenticator.ts'

export interface MongoOptions {
  /** `HOST:PORT`; members of one replica set, or routers of one cluster. */
  addrs: readonly string[]
  database: string
  collection: string
  /** A user of the database `admin`. */
  username: string | undefined
  password: string | undefined
  /** Beats `password`; read for each client, so that a new password needs no restart. */
  passwordFile: string | undefined
  enableTls: boolean
  /** For each question, connecting included. */
  timeoutMs: number
}

export interface ReadOptions {
  sort?: Record<string, 1>
  /** Documents at most. */
  limit: number
}

export interface MongoCollection {
  /** @throws UnavailableError */
  read(filter: Document, options: ReadOptions): Promise<Document[]>
  close(): Promise<void>
}

const MAX_CONNECTIONS = 4
const IDLE_MS = 60_000
/** Questions that may be under way or wait: past that a server that hangs would only fill memory. */
const MAX_PENDING = 256
/** What MongoDB calls a login that it refuses (error 18, AuthenticationFailed). */
const AUTHENTICATION_FAILED = 18

/**
 * A collection of somebody else's MongoDB, through a client that is made at the first question. It finds lost servers again
 * by itself; one that may not log in is made anew, with the password that the file then has.
 *
 * @param name for messages.
 * @param unique a member by which documents are told apart: the first client makes a unique index of it, as docker_auth
 *   does; that it cannot (a user who may only read, duplicates) is worth a warning.
 */
export function openMongoCollection(
  options: MongoOptions & { name: string; unique: string; warn: (message: string) => void },
): MongoCollection {
  const { name, unique, warn } = options
  let client: Promise<MongoClient> | undefined
  let closed = false
  let pending = 0
  let indexing: Promise<void> | undefined

  async function connect(): Promise<MongoClient> {
    // Loading the library costs a tenth of a second, which the start of the program is spared.
    const { MongoClient } = await import('mongodb')
    const hosts = options.addrs.join(',')
    if (!/^[A-Za-z0-9._:[\],-]+$/.test(hosts)) throw new Error('an address is not HOST:PORT')
    return new MongoClient(`mongodb://${hosts}/`, await clientOptions(options))
  }

  async function current(): Promise<MongoClient> {
    if (closed) throw new Error('the collection was closed')
    const connecting = client ?? connect()
    client = connecting
    try {
      return await connecting
    } catch (error) {
      // A file of the password that could not be read may be there the next time.
      if (client === connecting) client = undefined
      throw error
    }
  }

  /** The next question connects anew. */
  async function drop(refused: MongoClient): Promise<void> {
    if ((await client) === refused) client = undefined
    await refused.close()
  }

  async function makeIndex(connected: MongoClient): Promise<void> {
    try {
      await connected
        .db(options.database)
        .collection(options.collection)
        .createIndex({ [unique]: 1 }, { unique: true })
    } catch (error) {
      if (!closed) warn(`${name}: no unique index of ${unique} could be made: ${messageOf(error)}`)
    }
  }

  async function ask(connected: MongoClient, filter: Document, wanted: ReadOptions): Promise<Document[]> {
    const collection = connected.db(options.database).collection(options.collection)
    const limit = new AbortController()
    const { timeoutMs } = options
    const timer = setTimeout(() => limit.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
    let documents: Document[]
    try {
      documents = await collection
        // Not by the collection's own rules of comparison: they may take `Bob` for `bob`.
        .find(filter, { ...wanted, collation: { locale: 'simple' }, maxTimeMS: timeoutMs, signal: limit.signal })
        .toArray()
    } catch (error) {
      if (isRefusedLogin(error)) await drop(connected)
      throw error
    } finally {
      clearTimeout(timer)
    }
    // Nobody waits for it.
    indexing ??= makeIndex(connected)
    return documents
  }

  return {
    async read(filter, wanted) {
      if (pending >= MAX_PENDING) throw new UnavailableError('too many questions are waiting for MongoDB')
      pending++
      try {
        return await ask(await current(), filter, wanted)
      } catch (cause) {
        throw new UnavailableError('MongoDB does not answer', { cause })
      } finally {
        pending--
      }
    },
    async close() {
      closed = true
      const last = client
      client = undefined
      // One that could not be made has nothing to close.
      const connected = await last?.catch(() => undefined)
      await connected?.close()
      await indexing
    },
  }
}

async function clientOptions(options: MongoOptions): Promise<MongoClientOptions> {
  const { username, timeoutMs } = options
  // Editors end files with a line break, which belongs to no password.
  const password =
    options.passwordFile === undefined ? options.password : (await Bun.file(options.passwordFile).text()).trim()
  return {
    ...(username === undefined ? {} : { auth: { username, password: password ?? '' }, authSource: 'admin' }),
    tls: options.enableTls,
    appName: 'berth',
    // Limits of the parts; that of the whole is `ask`'s.
    serverSelectionTimeoutMS: timeoutMs,
    connectTimeoutMS: timeoutMs,
    socketTimeoutMS: timeoutMs,
    waitQueueTimeoutMS: timeoutMs,
    maxPoolSize: MAX_CONNECTIONS,
    maxIdleTimeMS: IDLE_MS,
    retryWrites: false,
  }
}

function isRefusedLogin(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === AUTHENTICATION_FAILED
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
