import { type Nouns, nouns } from './nouns.ts'
import { type Call, type FromWorker, invoke, type Result, type ToWorker, toFault } from './sqlite-calls.ts'
import { CACHE_KIB, metadataError } from './sqlite-connection.ts'
import { openReader, type Reader } from './sqlite-reader.ts'
import { type Outcome, openWriter, type Writer } from './sqlite-writer.ts'

/**
 * The thread that owns the writing connection of one database. It gets batches of calls, one batch at a time: all
 * writes of a batch are one group, whose callers hear of it after its commit; long reads follow on a connection of
 * their own.
 */
declare const self: Worker

let opened: { writer: Writer; reader: Reader; write: Nouns; read: Nouns } | undefined

self.onmessage = (event: MessageEvent<ToWorker>) => {
  void serve(event.data)
}

async function serve(request: ToWorker): Promise<void> {
  if (request.kind === 'open') await open(request.path, request.now)
  else if (request.kind === 'calls') await runBatch(request.calls)
  else close()
}

async function open(path: string, now: number): Promise<void> {
  try {
    const writer = await openWriter({ path, now })
    const reader = openReader(path, undefined, CACHE_KIB.longRead)
    opened = { writer, reader, write: nouns(writer.database), read: nouns(reader.database) }
    reply({ kind: 'opened' })
  } catch (error) {
    reply({ kind: 'refused', error: toFault(metadataError(`cannot open the database ${path}`, error)) })
  }
}

async function runBatch(calls: readonly Call[]): Promise<void> {
  if (opened === undefined) throw new Error('a call came before the database was open')
  const { writer, write, read } = opened
  const writes = calls.filter(({ mode }) => mode !== 'read')
  const reads = calls.filter(({ mode }) => mode === 'read')
  if (writes.length > 0) {
    const bodies = writes.map((call) => () => invoke(write, call))
    const outcomes = await writer.group(bodies, { durable: writes.some(({ mode }) => mode === 'durable') })
    const results = writes.map((call, index) => result(call, outcomes[index]))
    reply({ kind: 'results', results, last: reads.length === 0 })
  }
  for (const [index, call] of reads.entries()) {
    reply({ kind: 'results', results: [await runRead(read, call)], last: index === reads.length - 1 })
  }
}

async function runRead(read: Nouns, call: Call): Promise<Result> {
  try {
    return { id: call.id, ok: true, value: await invoke(read, call) }
  } catch (error) {
    return { id: call.id, ok: false, error: toFault(metadataError('the database could not be read', error)) }
  }
}

function result({ id }: Call, outcome: Outcome | undefined): Result {
  if (outcome?.ok === true) return { id, ok: true, value: outcome.value }
  return { id, ok: false, error: toFault(outcome?.error ?? metadataError('a call had no outcome', undefined)) }
}

function close(): void {
  opened?.reader.close()
  opened?.writer.close()
  opened = undefined
  reply({ kind: 'closed' })
}

function reply(message: FromWorker): void {
  self.postMessage(message)
}
