import type { Method } from '../routes.ts'
import type { Described, Parameter } from './operation.ts'

/** A path of the registry's table, as it is described. */
export interface Place {
  path: string
  parameters: readonly Parameter[]
  /** HEAD is that of GET. */
  methods: Partial<Record<Exclude<Method, 'HEAD'>, Described>>
}

export const name: Parameter = {
  name: 'name',
  in: 'path',
  description: 'Repository, with its slashes as they are (`team/app`)',
  schema: { type: 'string', maxLength: 255 },
}
export const reference: Parameter = {
  name: 'reference',
  in: 'path',
  description: 'Tag or digest',
  schema: { type: 'string' },
}
export const digest: Parameter = { ...reference, name: 'digest', description: 'Digest (`sha256:…` or `sha512:…`)' }
export const upload: Parameter = {
  ...reference,
  name: 'upload',
  description: 'Id of the upload, as its Location has it',
}
export const ofQuery = (parameter: string, description: string, type = 'string'): Parameter => ({
  name: parameter,
  in: 'query',
  description,
  schema: { type },
})
export const ofHeader = (parameter: string, description: string): Parameter => ({
  ...ofQuery(parameter, description),
  in: 'header',
})
export const n = (description: string) => ofQuery('n', description, 'integer')
export const last = ofQuery('last', 'What the page before ended with; the page begins after it')
export const wanted = ofQuery('digest', 'Digest of the whole blob')
export const ifNoneMatch = ofHeader('If-None-Match', 'An ETag that is there already')
