import { createRoute } from '@hono/zod-openapi'
import type { ApiDeps, KeyInfo } from './api.ts'
import type { ApiRouter } from './context.ts'
import { ProblemError } from './problem.ts'
import { body, json, refusals } from './route.ts'
import { type KeyView, keySchema, keysSchema, rotationSchema } from './schemas.ts'
import { isoOrNull } from './views.ts'

const tags = ['keys']

export function addKeys(router: ApiRouter, { keys, changes }: ApiDeps): void {
  const list = createRoute({
    operationId: 'listKeys',
    tags,
    method: 'get',
    path: '/keys',
    responses: { 200: json(keysSchema, 'Keys of tokens: the one that signs first'), ...refusals },
  })
  router.openapi(list, async (c) => c.json({ keys: (await keys.list()).map(keyView) }, 200))

  const rotate = createRoute({
    operationId: 'rotateKey',
    tags,
    method: 'post',
    path: '/keys/rotate',
    description:
      'Signs with a new key once other registries have had the time to learn of it. What the old one signed counts ' +
      'until it ends.',
    request: { body: body(rotationSchema) },
    responses: { 201: json(keySchema, 'The new key'), ...refusals },
  })
  router.openapi(rotate, async (c) => {
    const { rotate: make } = keys
    if (make === undefined) {
      const isAny = (await keys.list()).length > 0
      const why = isAny ? 'the key comes from the configuration: change it there' : 'no token server runs here'
      throw new ProblemError(409, why)
    }
    const { algorithm, immediately = false } = c.req.valid('json')
    const detail = immediately ? 'a new one signs from now on' : 'a new one is published, and will sign'
    const made = await changes.run(c.env.actor, 'key of tokens', detail, () => make({ algorithm, immediately }))
    return c.json(keyView(made), 201)
  })
}

function keyView({ id, algorithm, state, signsFrom, endsAt }: KeyInfo): KeyView {
  return { id, algorithm, state, signsFrom: isoOrNull(signsFrom), endsAt: isoOrNull(endsAt) }
}
