import type { Counter, Gauge, Histogram, Metrics } from '../telemetry/metrics.ts'
import type { Resource } from './routes.ts'
import type { Trail } from './trail.ts'

/** Counts requests as distribution does, under its names, labels and buckets. */
export interface RequestMeter {
  /** When it is known what a request names. */
  begin(resource: Resource): void
  /** When it is answered; `now` is of the same clock as the trail's start. A body may still be on its way to the client. */
  end(resource: Resource, trail: Trail, response: Response, now: number): void
}

/** distribution's names of its routes; those of `referrers`, the overviews and the trash are Berth's own. */
const HANDLERS: Record<Resource, string> = {
  base: 'base',
  catalog: 'catalog',
  tags: 'tags',
  manifest: 'manifest',
  blob: 'blob',
  uploads: 'blob_upload',
  upload: 'blob_upload_chunk',
  referrers: 'referrers',
  'catalog-overview': 'catalog_overview',
  'tags-overview': 'tags_overview',
  trash: 'trash',
}

/** Seconds. */
const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60]
/** Bytes: 1 KiB to 2 GiB, each twice the one before. */
const SIZES = Array.from({ length: 22 }, (_, power) => 1024 * 2 ** power)
const METHODS = new Set(['get', 'head', 'post', 'put', 'patch', 'delete', 'options'])

interface Slot {
  inFlight: Gauge
  requestSize: Histogram
  responseSize: Histogram
  methods: Map<string, { duration: Histogram; codes: (Counter | undefined)[]; code: (status: number) => Counter }>
}

export function createRequestMeter(metrics: Metrics): RequestMeter {
  const total = metrics.counter('registry_http_requests_total', 'Total number of HTTP requests made.', [
    'code',
    'handler',
    'method',
  ])
  const durations = metrics.histogram(
    'registry_http_request_duration_seconds',
    'The HTTP request latencies in seconds.',
    ['handler', 'method'],
    DURATIONS,
  )
  const sizes = (name: string, help: string) => metrics.histogram(name, help, ['handler'], SIZES)
  const requestSizes = sizes('registry_http_request_size_bytes', 'The HTTP request sizes in bytes.')
  const responseSizes = sizes('registry_http_response_size_bytes', 'The HTTP response sizes in bytes.')
  const inFlight = metrics.gauge('registry_http_in_flight_requests', 'The in-flight HTTP requests', ['handler'])

  const slotOf = (handler: string): Slot => ({
    inFlight: inFlight(handler),
    requestSize: requestSizes(handler),
    responseSize: responseSizes(handler),
    methods: new Map(),
  })
  const slots = new Map(Object.entries(HANDLERS).map(([resource, handler]) => [resource, slotOf(handler)]))

  function methodOf(slot: Slot, resource: Resource, method: string) {
    let known = slot.methods.get(method)
    if (known === undefined) {
      const handler = HANDLERS[resource]
      const lower = method.toLowerCase()
      const label = METHODS.has(lower) ? lower : 'unknown'
      const code = (status: number) => total(String(status), handler, label)
      known = { duration: durations(handler, label), codes: [], code }
      // What a stranger may make up is looked up each time.
      if (label !== 'unknown') slot.methods.set(method, known)
    }
    return known
  }

  return {
    begin(resource) {
      slots.get(resource)?.inFlight.add(1)
    },
    end(resource, { request, startedAt }, response, now) {
      const slot = slots.get(resource)
      if (slot === undefined) return
      const { method, url } = request
      const { status, headers } = response
      slot.inFlight.add(-1)
      const known = methodOf(slot, resource, method)
      known.codes[status] ??= known.code(status)
      known.codes[status].inc()
      known.duration.observe((now - startedAt) / 1000)
      const hasBody = method === 'PATCH' || method === 'PUT' || method === 'POST'
      const received = hasBody ? Number(request.headers.get('content-length') ?? 0) : 0
      slot.requestSize.observe(url.length + (Number.isSafeInteger(received) ? received : 0))
      slot.responseSize.observe(method === 'HEAD' ? 0 : Number(headers.get('content-length') ?? 0))
    },
  }
}
