import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createUpstream } from './upstream.ts'

let detail: unknown
let server: Bun.Server<undefined>
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch({ url }) {
      if (url.endsWith('/v2/')) return Response.json({})
      const message = 'app:v1 is immutable by the rule prose: it stays'
      return Response.json({ errors: [{ code: 'DENIED', message, detail }] }, { status: 403 })
    },
  })
})
afterAll(async () => await server.stop(true))

test.each<[string, unknown, { fault: string; immutable: string | undefined }]>([
  ['immutable tags, by the rule', { limit: 'immutable', rule: 'a.b-c' }, { fault: 'conflict', immutable: 'a.b-c' }],
  ['a quota', { limit: 'quota', prefix: 'team' }, { fault: 'conflict', immutable: undefined }],
  [
    'a rule that a shell would obey',
    { limit: 'immutable', rule: '$(id)' },
    { fault: 'conflict', immutable: undefined },
  ],
  ['words alone, which are for people', undefined, { fault: 'denied', immutable: undefined }],
  ['a list, as registry:2 has it', [{ Type: 'repository' }], { fault: 'denied', immutable: undefined }],
  ['null', null, { fault: 'denied', immutable: undefined }],
  ['a limit of another kind', { limit: 5 }, { fault: 'denied', immutable: undefined }],
])('a refusal with %s', async (_, given, expected) => {
  detail = given
  const upstream = createUpstream({ env: {}, home: '/nonexistent', userAgent: 'test', now: Date.now, certDirs: [] })
  const asked = { registry: `127.0.0.1:${server.port}`, repository: 'app' }
  const error: unknown = await upstream.delete(asked, 'v1').catch((reason: unknown) => reason)
  expect(error).toMatchObject({ name: 'UpstreamError', code: 'DENIED', status: 403, ...expected })
})
