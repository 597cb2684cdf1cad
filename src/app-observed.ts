import type { Watch } from './app-watch.ts'
import type { Metadata } from './metadata/metadata.ts'
import type { CallMeter } from './metadata/sqlite-client.ts'
import type { Storage } from './storage/storage.ts'

/** distribution's words for what is asked of a storage driver; `Append` (the bytes of a push, as fast as they come) is Berth's own. */
const ACTIONS = {
  begin: 'Writer',
  append: 'Append',
  sizeOf: 'Stat',
  digest: 'Reader',
  seal: 'Move',
  abort: 'Delete',
  open: 'Stat',
  delete: 'Delete',
} as const

/** Storage whose actions are timed and traced; itself where nobody wants to know. */
export function observedStorage(storage: Storage, { metrics, metered, tracer }: Watch): Storage {
  if (!metered && tracer === undefined) return storage
  const seconds = metrics.histogram(
    'registry_storage_action_seconds',
    'The number of seconds that the storage action takes',
    ['driver', 'action'],
  )

  function observed<A extends unknown[], R>(action: string, method: (...args: A) => Promise<R>) {
    const took = seconds('filesystem', action)
    return async (...args: A): Promise<R> => {
      const span = tracer?.step(`storage ${action}`)
      const start = performance.now()
      let fault: string | undefined
      try {
        return await method(...args)
      } catch (error) {
        fault = String(error)
        throw error
      } finally {
        took.observe((performance.now() - start) / 1000)
        span?.end({}, fault)
      }
    }
  }

  return {
    ...storage,
    begin: observed(ACTIONS.begin, storage.begin),
    append: observed(ACTIONS.append, storage.append),
    sizeOf: observed(ACTIONS.sizeOf, storage.sizeOf),
    digest: observed(ACTIONS.digest, storage.digest),
    seal: observed(ACTIONS.seal, storage.seal),
    abort: observed(ACTIONS.abort, storage.abort),
    open: observed(ACTIONS.open, storage.open),
    delete: observed(ACTIONS.delete, storage.delete),
  }
}

/** Metadata whose calls are steps of a trace; itself where nothing is traced. */
export function tracedMetadata(metadata: Metadata, { tracer }: Watch): Metadata {
  if (tracer === undefined) return metadata
  const steps = Object.entries(metadata).map(([noun, methods]) => [
    noun,
    typeof methods === 'object' ? tracedNoun(noun, methods) : methods,
  ])
  return Object.fromEntries(steps) as Metadata

  function tracedNoun(noun: string, methods: object): object {
    const entries = Object.entries(methods).map(([name, method]) => {
      const operation = `${noun}.${name}`
      const traced = (...args: unknown[]): unknown => {
        const span = tracer?.step(`database ${operation}`, { 'db.operation.name': operation })
        const end = (fault?: string) => span?.end({}, fault)
        try {
          const result: unknown = method(...args)
          if (!(result instanceof Promise)) {
            end()
            return result
          }
          result.then(
            () => end(),
            (error: unknown) => end(String(error)),
          )
          return result
        } catch (error) {
          end(String(error))
          throw error
        }
      }
      return [name, traced]
    })
    return Object.fromEntries(entries)
  }
}

/** Counts what the database's worker does. */
export function databaseMeter({ metrics }: Watch): CallMeter {
  const seconds = metrics.histogram(
    'berth_database_seconds',
    'Seconds from asking the thread of the database to its answer: durable and relaxed writes, and long reads.',
    ['kind'],
  )
  const failures = metrics.counter('berth_database_failures_total', 'Calls that the database could not do.', ['kind'])
  const meter: CallMeter = {
    waiting: 0,
    answered(mode, milliseconds, failed) {
      seconds(mode).observe(milliseconds / 1000)
      if (failed) failures(mode).inc()
    },
  }
  metrics.observed('gauge', 'berth_database_waiting', 'Calls to the thread of the database that wait.', [], () => [
    [[], meter.waiting],
  ])
  return meter
}
