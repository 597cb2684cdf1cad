import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { parseAccept } from './accept.ts'
import { MEDIA_TYPES } from './media-type.ts'

const OCI = MEDIA_TYPES.ociManifest
const DOCKER = MEDIA_TYPES.dockerManifest

describe('an Accept header', () => {
  const rows: [string, string | null, string, boolean][] = [
    ['none accepts everything', null, OCI, true],
    ['*/* accepts everything', '*/*', OCI, true],
    ['the type itself', OCI, OCI, true],
    ['another type', DOCKER, OCI, false],
    ['one of several', `${DOCKER}, ${OCI}`, OCI, true],
    ['a range of types', 'application/*', OCI, true],
    ['a range of other types', 'text/*', OCI, false],
    ['quality 0 refuses', `*/*, ${OCI};q=0`, OCI, false],
    ['the most specific entry decides', `*/*;q=0, ${OCI}`, OCI, true],
    ['a quality below 1 still accepts', `${OCI};q=0.1`, OCI, true],
    ['a quality that is no number refuses', `${OCI};q=x`, OCI, false],
    ['parameters are passed over', `${OCI}; charset=utf-8`, OCI, true],
    ['case does not matter', OCI.toUpperCase(), OCI, true],
    ['spaces and empty parts do not matter', ` , ${OCI} ,`, OCI, true],
    ['garbage without a single type accepts everything', 'garbage', OCI, true],
    ['nothing accepts everything', '', OCI, true],
  ]
  test.each(rows)('%s', (_, header, type, expected) => {
    expect(parseAccept(header)(type)).toBe(expected)
  })

  test('of a million spaces takes no longer than reading them', () => {
    const spaces = ' '.repeat(1_000_000)
    expect(parseAccept(`a/b;q=${spaces}x y`)('a/b')).toBe(false)
    expect(parseAccept(`a/b;${spaces}q${spaces}=${spaces}1`)('a/b')).toBe(true)
  })

  test('of any text never throws', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (header, type) => typeof parseAccept(header)(type) === 'boolean'),
      { seed: 20_260_101 },
    )
  })
})
