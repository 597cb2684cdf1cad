import { describe, expect, test } from 'bun:test'
import { UpstreamError } from './error.ts'
import { formatImage, parseImage, parseRegistry, parseRepository, referenceOf } from './reference.ts'

const HEX = 'a'.repeat(64)

describe('a reference to an image', () => {
  test.each([
    ['localhost:5000/admin-image:tag1', 'localhost:5000', 'admin-image', 'tag1', undefined],
    ['localhost/app', 'localhost', 'app', undefined, undefined],
    ['registry.example/team/app', 'registry.example', 'team/app', undefined, undefined],
    ['127.0.0.1:5000/a/b/c:v1.2-rc_3', '127.0.0.1:5000', 'a/b/c', 'v1.2-rc_3', undefined],
    ['[::1]:5000/app:v1', '[::1]:5000', 'app', 'v1', undefined],
    [`r.example/app:v1@sha256:${HEX}`, 'r.example', 'app', 'v1', `sha256:${HEX}`],
    [`r.example/app@sha256:${HEX}`, 'r.example', 'app', undefined, `sha256:${HEX}`],
    ['ubuntu', 'docker.io', 'library/ubuntu', undefined, undefined],
    ['ubuntu:22.04', 'docker.io', 'library/ubuntu', '22.04', undefined],
    ['team/app:v1', 'docker.io', 'team/app', 'v1', undefined],
    ['index.docker.io/ubuntu', 'docker.io', 'library/ubuntu', undefined, undefined],
    ['HOST/app', 'HOST', 'app', undefined, undefined],
  ])('%s', (text, registry, repository, tag, digest) => {
    expect(parseImage(text)).toEqual({ registry, repository, tag, digest } as never)
  })

  test.each([
    ['names nothing', '', /names no repository/],
    ['has a scheme', 'https://r.example/app', /no scheme/],
    ['names a registry alone', 'localhost:5000', /names a registry, and no repository/],
    ['has capitals in the repository', 'r.example/App', /is no repository/],
    ['ends with a slash', 'r.example/', /names no repository/],
    ['has a tag that is none', 'r.example/app:-x', /is no tag/],
    ['has an empty tag', 'r.example/app:', /"" is no tag/],
    ['has a digest that is too short', 'r.example/app@sha256:abc', /is no digest/],
    ['has a space', 'r.example/a b', /is no repository/],
    ['has a port that is none', 'r.example:99999/a', /"r.example:99999" is no registry/],
    ['has an address that is none', '256.0.0.1:5000/a', /"256.0.0.1:5000" is no registry/],
    ['climbs', 'r.example/../x', /is no repository/],
  ])('is refused when it %s', (_, text, message) => {
    expect(() => parseImage(text)).toThrow(message)
  })

  test('names a digest before a tag, and latest without both', () => {
    expect(referenceOf(parseImage(`r.example/a:v1@sha256:${HEX}`))).toBe(`sha256:${HEX}`)
    expect(referenceOf(parseImage('r.example/a:v1'))).toBe('v1')
    expect(referenceOf(parseImage('r.example/a'))).toBe('latest')
  })

  test.each(['localhost:5000/a:b', `r.example/a/b:c@sha256:${HEX}`, 'docker.io/library/ubuntu'])(
    '%s is written as it was',
    (text) => {
      expect(formatImage(parseImage(text))).toBe(text)
    },
  )
})

describe('a repository', () => {
  test.each([
    ['r.example:5000/team/app', { registry: 'r.example:5000', repository: 'team/app' }],
    ['ubuntu', { registry: 'docker.io', repository: 'library/ubuntu' }],
  ])('%s', (text, repository) => {
    expect(parseRepository(text)).toEqual(repository)
  })

  test.each([
    ['an image with a tag', 'r.example:5000/team/app:v1', 'berth ls r.example:5000/team/app lists its tags'],
    ['an image with a digest', `r.example/app@sha256:${HEX}`, 'berth ls r.example/app lists its tags'],
    ['both', `r.example/app:v1@sha256:${HEX}`, `berth inspect r.example/app:v1@sha256:${HEX} shows the image`],
    ['a name of the hub with a tag', 'ubuntu:22.04', 'berth ls ubuntu lists its tags'],
    ['a host alone', '127.0.0.1:5000', 'berth catalog 127.0.0.1:5000 lists them'],
    ['a host of the sixth version alone', '[::1]:5000', 'berth catalog [::1]:5000 lists them'],
  ])('is not %s, and says what to do', (_, text, hint) => {
    const refusal = (() => {
      try {
        return parseRepository(text)
      } catch (error) {
        return error
      }
    })()
    expect(refusal).toBeInstanceOf(UpstreamError)
    expect(refusal).toMatchObject({ fault: 'usage', hint: expect.stringContaining(hint) })
  })
})

describe('a registry', () => {
  test.each([
    ['localhost:5000', 'localhost:5000'],
    ['https://registry.example/', 'registry.example'],
    ['http://registry.example:5000/v2/', 'registry.example:5000'],
    ['https://index.docker.io/v1/', 'docker.io'],
  ])('%s', (text, host) => {
    expect(parseRegistry(text)).toBe(host)
  })

  test.each(['', 'a b', 'r.example/app', 'r.example:port', '127.0.0.1:65536', '999.1.1.1', '[:::::]:5'])(
    '%p is none',
    (text) => {
      expect(() => parseRegistry(text)).toThrow(/is no registry/)
    },
  )
})
