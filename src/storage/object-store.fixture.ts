/** For tests only: what an object store does, in memory. `parts.fixture.ts` is the adapter over it. */
/** Least bytes of a part that is not the last, as in S3. */
export const PART_BYTES = 5 * 1024 * 1024

export interface ObjectStore {
  put(key: string, bytes: Uint8Array): void
  get(key: string): { bytes: Uint8Array; modified: Date } | undefined
  delete(key: string): boolean
  keys(prefix: string): string[]
  startParts(key: string): string
  putPart(session: string, number: number, bytes: Uint8Array): void
  /** Size by number, or undefined when the session has ended. */
  parts(session: string): Map<number, number> | undefined
  complete(session: string, numbers: readonly number[]): void
  dropParts(session: string): void
  /** Bytes of all parts and objects. */
  stored(): number
}

export function createObjectStore(): ObjectStore {
  const objects = new Map<string, { bytes: Uint8Array; modified: Date }>()
  const sessions = new Map<string, { key: string; parts: Map<number, Uint8Array> }>()
  let count = 0

  const sessionOf = (session: string) => {
    const found = sessions.get(session)
    if (found === undefined) throw new Error(`no such session: ${session}`)
    return found
  }

  return {
    put(key, bytes) {
      if (objects.has(key)) throw new Error(`objects are immutable: ${key}`)
      objects.set(key, { bytes: bytes.slice(), modified: new Date(++count * 1000) })
    },
    get: (key) => objects.get(key),
    delete: (key) => objects.delete(key),
    keys: (prefix) => [...objects.keys()].filter((key) => key.startsWith(prefix)),
    startParts(key) {
      const session = `session-${++count}`
      sessions.set(session, { key, parts: new Map() })
      return session
    },
    putPart(session, number, bytes) {
      const { parts } = sessionOf(session)
      if (parts.has(number)) throw new Error(`parts are immutable: ${number}`)
      if (bytes.byteLength === 0) throw new Error('a part has at least one byte')
      parts.set(number, bytes.slice())
    },
    parts(session) {
      const found = sessions.get(session)
      return found && new Map([...found.parts].map(([number, bytes]) => [number, bytes.byteLength]))
    },
    complete(session, numbers) {
      const { key, parts } = sessionOf(session)
      const chosen = numbers.map((number, index) => {
        const part = parts.get(number)
        if (part === undefined) throw new Error(`no such part: ${number}`)
        if (number <= (numbers[index - 1] ?? 0)) throw new Error('parts are not in order')
        if (index < numbers.length - 1 && part.byteLength < PART_BYTES) throw new Error(`part ${number} is too small`)
        return part
      })
      if (chosen.length === 0) throw new Error('an object of parts has at least one')
      objects.set(key, { bytes: join(chosen), modified: new Date(++count * 1000) })
      sessions.delete(session)
    },
    dropParts(session) {
      sessions.delete(session)
    },
    stored() {
      const all = [...sessions.values()].flatMap(({ parts }) => [...parts.values()])
      return [...all, ...[...objects.values()].map(({ bytes }) => bytes)].reduce(
        (sum, { byteLength }) => sum + byteLength,
        0,
      )
    },
  }
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Bun.concatArrayBuffers([...chunks]))
}
