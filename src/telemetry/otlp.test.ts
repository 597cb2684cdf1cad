import { afterAll, beforeEach, expect, test } from 'bun:test'
import { createOtlpTracer, otlpFromEnvironment } from './otlp.ts'

interface Sent {
  headers: Headers
  body: {
    resourceSpans: { resource: { attributes: unknown[] }; scopeSpans: { spans: Record<string, unknown>[] }[] }[]
  }
}

let answers = 200
const sent: Sent[] = []
const collector = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    sent.push({ headers: request.headers, body: (await request.json()) as Sent['body'] })
    return new Response('{}', { status: answers })
  },
})
afterAll(() => collector.stop(true))
beforeEach(() => {
  sent.length = 0
  answers = 200
})
const ENDPOINT = `http://127.0.0.1:${collector.port}`

function tracer(env: Record<string, string> = {}) {
  const told: string[] = []
  const { options } = otlpFromEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, ...env }, '1.2.3')
  if (options === undefined) throw new Error('no traces')
  const made = createOtlpTracer(options, {
    failed: (error) => told.push(String(error)),
    recovered: (lost) => told.push(`again, ${lost} lost`),
    everyMs: 5,
  })
  return { ...made, tracer: made, told }
}

const spansOf = () =>
  sent.flatMap(({ body }) => body.resourceSpans.flatMap((r) => r.scopeSpans.flatMap((s) => s.spans)))
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'
const carrier = (flags: string) => (name: string) => (name === 'traceparent' ? `00-${TRACE}-${PARENT}-${flags}` : null)

test('a request is a span of its caller’s trace, and its steps are children, in whatever turn', async () => {
  const { tracer: made, close } = tracer({
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b',
    OTEL_SERVICE_NAME: 'registry',
    OTEL_RESOURCE_ATTRIBUTES: 'site=home',
  })
  await made.serve('GET /v2/', carrier('01'), { 'http.request.method': 'GET' }, async (span) => {
    expect(span.traceId).toBe(TRACE)
    await Bun.sleep(0)
    made.step('storage Stat')?.end({}, 'gone')
    span.end({ 'http.response.status_code': 200 })
  })
  await close()
  expect(sent[0]?.headers.get('x-key')).toBe('a b')
  expect(sent[0]?.body.resourceSpans[0]?.resource.attributes).toEqual([
    { key: 'service.version', value: { stringValue: '1.2.3' } },
    { key: 'site', value: { stringValue: 'home' } },
    { key: 'service.name', value: { stringValue: 'registry' } },
  ])
  const [step, request] = spansOf()
  expect(request).toMatchObject({
    traceId: TRACE,
    spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    parentSpanId: PARENT,
    name: 'GET /v2/',
    kind: 2,
    status: {},
    startTimeUnixNano: expect.stringMatching(/^\d{19}$/),
    endTimeUnixNano: expect.stringMatching(/^\d{19}$/),
    attributes: [
      { key: 'http.request.method', value: { stringValue: 'GET' } },
      { key: 'http.response.status_code', value: { intValue: '200' } },
    ],
  })
  expect(step).toMatchObject({
    traceId: TRACE,
    parentSpanId: request?.spanId,
    kind: 1,
    status: { code: 2, message: 'gone' },
  })
})

test.each([
  ['a caller that does not keep it', {}, '00', 0],
  ['a caller that does', { OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, '01', 1],
  ['a sampler that does not ask', { OTEL_TRACES_SAMPLER: 'always_off' }, '01', 0],
  ['a ratio of none', { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, '01', 0],
] as const)('%s decides', async (_, env, flags, spans) => {
  const { tracer: made, close } = tracer(env)
  made.serve('GET', carrier(flags), {}, (span) => span.end())
  await close()
  expect(spansOf()).toHaveLength(spans)
})

test('a collector that does not answer is told of once, and costs spans alone', async () => {
  const { tracer: made, told, close } = tracer()
  answers = 503
  const one = () =>
    made.serve(
      'GET',
      () => null,
      {},
      (span) => span.end(),
    )
  one()
  for (let i = 0; i < 6000 && made.dropped < 1; i++) await Bun.sleep(5)
  one()
  for (let i = 0; i < 6000 && made.dropped < 2; i++) await Bun.sleep(5)
  answers = 200
  one()
  await close()
  expect(told).toEqual(['Error: the collector answers 503', 'again, 2 lost'])
})

test('too many spans are dropped and counted', async () => {
  const { tracer: made, close } = tracer()
  for (let i = 0; i < 3000; i++)
    made.serve(
      'GET',
      () => null,
      {},
      (span) => span.end(),
    )
  expect(made.dropped).toBe(3000 - 2048)
  await close()
  expect(spansOf()).toHaveLength(2048)
})

test.each([
  [{}, false, 0],
  [{ OTEL_TRACES_EXPORTER: 'none', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a' }, false, 0],
  [{ OTEL_SDK_DISABLED: 'true', OTEL_TRACES_EXPORTER: 'otlp' }, false, 0],
  [{ OTEL_TRACES_EXPORTER: 'otlp' }, true, 0],
  [{ OTEL_TRACES_EXPORTER: 'zipkin' }, false, 1],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, false, 1],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'nowhere' }, false, 1],
] as const)('%p', (env, isOn, warnings) => {
  const read = otlpFromEnvironment(env, '1')
  expect([read.options !== undefined, read.warnings.length]).toEqual([isOn, warnings])
})
