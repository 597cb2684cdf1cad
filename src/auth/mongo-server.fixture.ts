import { BSON, type Document } from 'mongodb'

/**
 * A FAKE of MongoDB's wire protocol: it speaks just enough of OP_MSG for the driver to log in (or be refused) and to ask for
 * documents by equal members, in an order. What it accepts is unproved against a real server.
 */
export interface FakeMongo {
  port: number
  collections: Map<string, Document[]>
  /** Names of the commands that arrived, without those of the driver's own watching. */
  commands: Document[]
  start(): void
  /** Ends all connections and listens no more. */
  stop(): void
  /** From now on (or no more) it reads and answers nothing. */
  silent: boolean
  /** An error for each command of that name. */
  failures: Map<string, { code: number; errmsg: string }>
}

const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013
const HEADER = 16
/** `hello` says so: no message of a driver is larger. */
const MAX_MESSAGE = 48_000_000

/**
 * `setName`: the replica set whose primary and only member it says it is; undefined: a server of its own. `port`: where it listens; one that
 * is stopped and started again needs one that is its test's own (`test/free-port.ts`).
 */
export function startFakeMongo({ setName, port = 0 }: { setName?: string; port?: number } = {}): FakeMongo {
  const sockets = new Set<Bun.Socket<Uint8Array>>()
  let listener: Bun.TCPSocketListener<Uint8Array> | undefined

  const fake: FakeMongo = {
    port,
    collections: new Map(),
    commands: [],
    failures: new Map(),
    silent: false,
    start() {
      listener = Bun.listen<Uint8Array>({
        hostname: '127.0.0.1',
        port: fake.port,
        socket: {
          open(socket) {
            socket.data = new Uint8Array()
            sockets.add(socket)
          },
          data(socket, chunk) {
            if (fake.silent) return
            socket.data = Buffer.concat([socket.data, chunk])
            const rest = takeMessages(socket.data, (message) => socket.write(answerTo(message)))
            if (rest === undefined) socket.terminate()
            else socket.data = rest
          },
          close(socket) {
            sockets.delete(socket)
          },
        },
      })
      fake.port = listener.port
    },
    stop() {
      listener?.stop(true)
      for (const socket of sockets) socket.terminate()
    },
  }

  function answerTo(message: Buffer): Buffer {
    const id = message.readInt32LE(4)
    const opCode = message.readInt32LE(12)
    if (opCode === OP_QUERY) {
      // The first hello: flags, "admin.$cmd\0", two numbers, the command.
      const name = message.indexOf(0, HEADER + 4)
      run(BSON.deserialize(message.subarray(name + 9)))
      const head = Buffer.alloc(20)
      head.writeInt32LE(1, 16)
      return framed(OP_REPLY, id, Buffer.concat([head, BSON.serialize(hello())]))
    }
    if (opCode !== OP_MSG) throw new Error(`the fake has no operation ${opCode}`)
    const reply = run(commandOf(message))
    // No flags, one section of kind 0.
    return framed(OP_MSG, id, Buffer.concat([Buffer.alloc(5), BSON.serialize(reply)]))
  }

  function run(command: Document): Document {
    const name = Object.keys(command)[0] ?? ''
    if (/^(hello|isMaster|ismaster)$/.test(name)) return hello()
    fake.commands.push(command)
    const failure = fake.failures.get(name)
    if (failure !== undefined) return { ok: 0, ...failure }
    const documents = fake.collections.get(`${command.$db}.${command[name]}`) ?? []
    if (name === 'ping' || name === 'endSessions' || name === 'createIndexes') return { ok: 1 }
    if (name === 'saslStart')
      return { ok: 0, code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' }
    if (name === 'find') {
      const cursor = { id: BSON.Long.ZERO, ns: `${command.$db}.${command.find}`, firstBatch: found(documents, command) }
      return { ok: 1, cursor }
    }
    return { ok: 0, code: 59, codeName: 'CommandNotFound', errmsg: `no such command: '${name}'` }
  }

  function hello(): Document {
    const me = `127.0.0.1:${fake.port}`
    const set = { setName, hosts: [me], primary: me, me, secondary: false, setVersion: 1 }
    return {
      ...{ ok: 1, helloOk: true, ismaster: true, isWritablePrimary: true, readOnly: false },
      ...{ minWireVersion: 0, maxWireVersion: 21, maxBsonObjectSize: 16_777_216, maxMessageSizeBytes: MAX_MESSAGE },
      ...{ maxWriteBatchSize: 100_000, logicalSessionTimeoutMinutes: 30 },
      ...(setName === undefined ? {} : set),
    }
  }

  fake.start()
  return fake
}

function found(documents: readonly Document[], { filter, sort, limit }: Document): Document[] {
  const fitting = documents.filter((document) =>
    Object.entries(filter as Document).every(([key, value]) => {
      if (typeof value === 'object' || key.startsWith('$')) throw new Error('the fake knows equality only')
      return document[key] === value
    }),
  )
  const [key] = Object.keys((sort as Document | undefined) ?? {})
  const ordered = key === undefined ? fitting : fitting.toSorted((a, b) => Number(a[key]) - Number(b[key]))
  return limit === undefined ? ordered : ordered.slice(0, Number(limit))
}

/** Takes whole messages off the front; what is left, or undefined where those are none (the beginning of TLS). */
function takeMessages(bytes: Uint8Array, take: (message: Buffer) => void): Uint8Array | undefined {
  let rest = Buffer.from(bytes)
  while (rest.length >= HEADER) {
    const length = rest.readInt32LE(0)
    if (length < HEADER || length > MAX_MESSAGE) return undefined
    if (rest.length < length) break
    take(rest.subarray(0, length))
    rest = rest.subarray(length)
  }
  return rest
}

/** Section 0 is the command, sections 1 are lists of it. */
function commandOf(message: Buffer): Document {
  let command: Document = {}
  const lists: Document = {}
  for (let at = HEADER + 4; at < message.length; ) {
    const kind = message[at]
    const size = message.readInt32LE(at + 1)
    const section = message.subarray(at + 1, at + 1 + size)
    if (kind === 0) command = BSON.deserialize(section)
    else if (kind === 1) {
      const end = section.indexOf(0, 4)
      const items: Document[] = []
      for (let from = end + 1; from < size; from += section.readInt32LE(from)) {
        items.push(BSON.deserialize(section.subarray(from, from + section.readInt32LE(from))))
      }
      lists[section.toString('utf8', 4, end)] = items
    } else throw new Error(`the fake has no section of kind ${kind}`)
    at += 1 + size
  }
  return { ...command, ...lists }
}

function framed(opCode: number, responseTo: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER)
  header.writeInt32LE(HEADER + body.length, 0)
  header.writeInt32LE(responseTo, 8)
  header.writeInt32LE(opCode, 12)
  return Buffer.concat([header, body])
}
