import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import type { Attributes, Span, Tracer } from './trace.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface OtlpOptions {
  /** Where spans are posted. */
  url: string
  headers: Record<string, string>
  timeoutMs: number
  resource: Attributes
  /** Of requests that no caller decided about: 0 to 1. */
  ratio: number
  /** Whether a caller's decision counts. */
  followsParent: boolean
}

/**
 * What OTEL_* says about traces (OpenTelemetry, "Environment Variable Specification"); undefined where it asks for none. Unlike
 * registry 3, nothing is sent unless an endpoint is named, or the exporter `otlp`.
 */
export function otlpFromEnvironment(
  env: Environment,
  version: string,
): { options: OtlpOptions | undefined; warnings: string[] } {
  const warnings: string[] = []
  const none = { options: undefined, warnings }
  const exporter = env.OTEL_TRACES_EXPORTER?.trim()
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT
  const own = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
  if (env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || exporter === 'none') return none
  if (!exporter && !base && !own) return none
  if (exporter && exporter !== 'otlp') {
    warnings.push(`OTEL_TRACES_EXPORTER is ${exporter}; only otlp and none are there, so no traces are sent`)
    return none
  }
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? env.OTEL_EXPORTER_OTLP_PROTOCOL ?? 'http/json'
  if (protocol === 'grpc') {
    warnings.push('OTEL_EXPORTER_OTLP_PROTOCOL is grpc; name the HTTP port (4318) and http/json, so no traces are sent')
    return none
  }
  if (protocol !== 'http/json') warnings.push(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}; http/json is sent instead`)
  const url = own || `${(base || 'http://localhost:4318').replace(/\/+$/, '')}/v1/traces`
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    warnings.push(`${url} is no URL that traces can be sent to`)
    return none
  }
  const { ratio, followsParent } = samplerOf(env, warnings)
  const resource = pairsOf(env.OTEL_RESOURCE_ATTRIBUTES)
  const name = env.OTEL_SERVICE_NAME || resource['service.name'] || 'berth'
  return {
    options: {
      url,
      headers: pairsOf(env.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? env.OTEL_EXPORTER_OTLP_HEADERS),
      timeoutMs: Number(env.OTEL_EXPORTER_OTLP_TIMEOUT) || 10_000,
      resource: { 'service.version': version, ...resource, 'service.name': name },
      ratio,
      followsParent,
    },
    warnings,
  }
}

function samplerOf(env: Environment, warnings: string[]): Pick<OtlpOptions, 'ratio' | 'followsParent'> {
  const name = env.OTEL_TRACES_SAMPLER || 'parentbased_always_on'
  const match = /^(parentbased_)?(always_on|always_off|traceidratio)$/.exec(name)
  if (match === null) {
    warnings.push(`OTEL_TRACES_SAMPLER ${name} is not known; every trace is kept`)
    return { ratio: 1, followsParent: true }
  }
  const given = Number(env.OTEL_TRACES_SAMPLER_ARG ?? '1')
  const ratio = match[2] === 'always_on' ? 1 : match[2] === 'always_off' ? 0 : given >= 0 && given <= 1 ? given : 1
  return { ratio, followsParent: match[1] !== undefined }
}

/** `a=b,c=d`, each percent-encoded (W3C Baggage). */
function pairsOf(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').flatMap((pair): [string, string][] => {
    const [name = '', ...value] = pair.split('=')
    return name.trim() === '' || value.length === 0 ? [] : [[name.trim(), decoded(value.join('=').trim())]]
  })
  return Object.fromEntries(pairs)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

interface Context {
  traceId: string
  spanId: string
}

/** Spans that wait at most, of one message, and milliseconds between two. */
const MOST_WAITING = 2048
const BATCH = 512
const EVERY_MS = 5000
const PARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const SERVER = 2
const INTERNAL = 1

/**
 * Sends spans as OTLP/HTTP JSON, in batches, beside the requests: one that finds no room is dropped and counted, and a collector that does
 * not answer is told of once, and once more when it does.
 */
export function createOtlpTracer(
  options: OtlpOptions,
  deps: { failed: (error: unknown) => void; recovered: (lost: number) => void; everyMs?: number },
): Tracer & { readonly dropped: number } {
  const current = new AsyncLocalStorage<Context>()
  const waiting: unknown[] = []
  let dropped = 0
  let lost = 0
  let failing = false
  let sending: Promise<void> | undefined
  const timer = setInterval(() => void flush(), deps.everyMs ?? EVERY_MS)
  timer.unref()

  async function post(spans: readonly unknown[]): Promise<void> {
    const scopeSpans = [{ scope: { name: 'berth' }, spans }]
    const body = JSON.stringify({ resourceSpans: [{ resource: { attributes: listOf(options.resource) }, scopeSpans }] })
    const signal = AbortSignal.timeout(options.timeoutMs)
    const headers = { ...options.headers, 'Content-Type': 'application/json' }
    const response = await fetch(options.url, { method: 'POST', headers, body, signal })
    await response.arrayBuffer()
    if (!response.ok) throw new Error(`the collector answers ${response.status}`)
  }

  async function send(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH)
      try {
        await post(batch)
        if (failing) deps.recovered(lost)
        failing = false
        lost = 0
      } catch (error) {
        dropped += batch.length
        lost += batch.length
        if (!failing) deps.failed(error)
        failing = true
        return
      }
    }
  }

  function flush(): Promise<void> {
    sending ??= send().finally(() => {
      sending = undefined
    })
    return sending
  }

  function begin(
    name: string,
    kind: number,
    context: Context,
    parent: string | undefined,
    attributes: Attributes,
  ): Span {
    const wall = Date.now()
    const start = performance.now()
    return {
      traceId: context.traceId,
      end(more = {}, fault) {
        if (waiting.length >= MOST_WAITING) {
          dropped++
          return
        }
        waiting.push({
          ...context,
          ...(parent === undefined ? {} : { parentSpanId: parent }),
          name,
          kind,
          startTimeUnixNano: nanoseconds(wall),
          endTimeUnixNano: nanoseconds(wall + performance.now() - start),
          attributes: listOf({ ...attributes, ...more }),
          status: fault === undefined ? {} : { code: 2, message: fault.slice(0, 500) },
        })
      },
    }
  }

  return {
    get dropped() {
      return dropped
    },
    serve(name, carrier, attributes, work) {
      const parent = PARENT.exec(carrier('traceparent') ?? '')
      const usable = parent !== null && !/^0+$/.test(parent[1] ?? '') && !/^0+$/.test(parent[2] ?? '')
      const traceId = usable ? (parent[1] ?? '') : randomBytes(16).toString('hex')
      const context = { traceId, spanId: randomBytes(8).toString('hex') }
      const decided = usable && options.followsParent
      const isKept = decided
        ? (Number.parseInt(parent[3] ?? '0', 16) & 1) === 1
        : Number.parseInt(traceId.slice(-13), 16) < options.ratio * 2 ** 52
      if (!isKept) return work({ traceId, end: () => {} })
      const span = begin(name, SERVER, context, usable ? parent[2] : undefined, attributes)
      return current.run(context, () => work(span))
    },
    step(name, attributes = {}) {
      const parent = current.getStore()
      if (parent === undefined) return undefined
      const context = { traceId: parent.traceId, spanId: randomBytes(8).toString('hex') }
      return begin(name, INTERNAL, context, parent.spanId, attributes)
    },
    async close() {
      clearInterval(timer)
      await flush()
    },
  }
}

function nanoseconds(milliseconds: number): string {
  return String(BigInt(Math.round(milliseconds * 1000)) * 1000n)
}

function listOf(attributes: Attributes): { key: string; value: Record<string, unknown> }[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: typedValue(value) }))
}

function typedValue(value: string | number | boolean): Record<string, unknown> {
  if (typeof value === 'string') return { stringValue: value }
  if (typeof value === 'boolean') return { boolValue: value }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
