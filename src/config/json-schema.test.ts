import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { authConfigJsonSchema, configJsonSchema } from './json-schema.ts'
import { toPlain } from './node.ts'
import { readYaml } from './yaml-document.ts'

const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true })
const config = ajv.compile(configJsonSchema())
const auth = ajv.compile(authConfigJsonSchema())

/** A document as editors see it: YAML's own types, without the place of each. */
function plain(text: string): unknown {
  const { root } = readYaml(text, (line) => ({ kind: 'file', file: 'f', line }))
  return root && JSON.parse(JSON.stringify(toPlain(root)))
}

const fixture = (name: string) => Bun.file(join(import.meta.dir, 'fixtures', name)).text()

test.each([
  ['of config.yml', configJsonSchema()],
  ['of auth_config.yml', authConfigJsonSchema()],
])('the schema %s is one by the meta-schema of its draft', (_, schema) => {
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
  expect([ajv.validateSchema(schema), ajv.errors]).toEqual([true, null])
})

describe('files that people have are right', () => {
  test.each([
    ["Debian's package", 'debian.yml', config],
    ['the official image of registry 2', 'image-2.yml', config],
    ['the official image of registry 3', 'image-3.yml', config],
    ["docker_auth's reference", 'auth-config.yml', auth],
  ])('%s', async (_, file, validate) => {
    expect([validate(plain(await fixture(file))), validate.errors]).toEqual([true, null])
  })
})

const head = 'version: 0.1\nstorage: filesystem\n'
const right: [sentence: string, text: string][] = [
  ['a type without parameters', `${head}auth: none`],
  ['a section that is empty', `${head}http:\nlog: {level: }\n`],
  ['a text that looks like another type', `${head}auth: {htpasswd: {realm: yes, path: 1}}`],
  ['headers of any name', `${head}http: {headers: {X-A: [b, 1]}}`],
  [
    'an own section',
    `${head}tokenserver: {users: {"": {}, kim: {password: x}}, acl: [{match: {account: kim}, actions: ["*"]}]}`,
  ],
  ['a duration as a number of nanoseconds', `${head}http: {draintimeout: 1000000000}`],
]
const wrong: [sentence: string, text: string, at: string, keyword: string][] = [
  ['no version', 'storage: filesystem', '', 'required'],
  ['no storage', 'version: 0.1', '', 'required'],
  ['a misspelt key', `${head}http: {adr: ":1"}`, '/http', 'additionalProperties'],
  ['a quoted boolean', `${head}http: {relativeurls: "true"}`, '/http/relativeurls', 'type'],
  ['another choice', `${head}log: {formatter: xml}`, '/log/formatter', 'enum'],
  ['a number as a text', `${head}catalog: {maxentries: many}`, '/catalog/maxentries', 'type'],
  ['too small a number', `${head}uploads: {chunkminlength: -1}`, '/uploads/chunkminlength', 'minimum'],
  ['a header of one text', `${head}http: {headers: {X-A: b}}`, '/http/headers/X-A', 'type'],
  [
    'a misspelt condition of a rule',
    `${head}tokenserver: {acl: [{match: {acount: a}}]}`,
    '/tokenserver/acl/0/match',
    'additionalProperties',
  ],
]

test.each(right)('%s is right', (_, text) => {
  expect([config(plain(text)), config.errors]).toEqual([true, null])
})

test.each(wrong)('%s is wrong', (_, text, at, keyword) => {
  expect(config(plain(text))).toBe(false)
  expect(config.errors?.map(({ instancePath, keyword: found }) => [instancePath, found])).toEqual([[at, keyword]])
})

test('what is not carried out is marked, with the reason', () => {
  const { redis, proxy } = configJsonSchema().properties as Record<string, { deprecated: boolean; description: string }>
  expect([redis?.deprecated, proxy?.deprecated]).toEqual([true, true])
  expect(redis?.description).toEndWith('No effect: No Redis is used.')
  expect(proxy?.description).toContain('. Refused: ')
})

test('secrets are marked as such', () => {
  const { http } = configJsonSchema().properties as Record<string, { properties: Record<string, unknown> }>
  expect(http?.properties.secret).toMatchObject({ writeOnly: true })
})
