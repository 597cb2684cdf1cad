import { describe, expect, test } from 'bun:test'
import { lines, loadText } from './fixtures/load-text.ts'
import { printEffective } from './print.ts'

const base = 'version: 0.1\nstorage: {filesystem: {rootdirectory: /d}}\nauth: none\n'

function load(endpoints: unknown, env: Record<string, string> = {}) {
  const file = `${base}notifications: ${JSON.stringify({ endpoints })}\n`
  const result = loadText({ file, env })
  return { ...result, endpoints: result.config?.notifications.endpoints }
}

const plain = {
  name: 'a',
  disabled: false,
  url: 'https://hooks.example/registry',
  headers: {},
  timeoutMs: 1000,
  threshold: 10,
  backoffMs: 1000,
  ignoredMediaTypes: [],
  ignoredActions: [],
  mediaType: 'application/vnd.docker.distribution.events.v2+json',
  maxAttempts: 0,
  maxAgeMs: 72 * 3_600_000,
}
const url = plain.url

describe('an endpoint', () => {
  const works: [sentence: string, given: object, expected: object][] = [
    ['has defaults', { name: 'a', url }, {}],
    ['has defaults in place of 0', { name: 'a', url, timeout: '0s', threshold: 0, backoff: 0 }, {}],
    ['has defaults in place of less', { name: 'a', url, timeout: '-5s', threshold: -1, backoff: '-1ns' }, {}],
    [
      'has what it is given',
      {
        name: 'a',
        url,
        headers: { Authorization: ['Bearer x'], 'X-Two': ['1', '2'] },
        timeout: '500ms',
        threshold: 5,
        backoff: '2m',
        ignoredmediatypes: ['a/b'],
        ignore: { mediatypes: ['c/d'], actions: ['pull'] },
        mediatype: 'application/vnd.docker.distribution.events.v1+json',
        maxattempts: 20,
        maxage: '1h',
      },
      {
        headers: { Authorization: ['Bearer x'], 'X-Two': ['1', '2'] },
        timeoutMs: 500,
        threshold: 5,
        backoffMs: 120_000,
        ignoredMediaTypes: ['a/b', 'c/d'],
        ignoredActions: ['pull'],
        mediaType: 'application/vnd.docker.distribution.events.v1+json',
        maxAttempts: 20,
        maxAgeMs: 3_600_000,
      },
    ],
    ['takes nanoseconds, as Go does', { name: 'a', url, timeout: 2_000_000_000 }, { timeoutMs: 2000 }],
    ['keeps events for ever where it is told so', { name: 'a', url, maxage: '0' }, { maxAgeMs: 0 }],
    ['is called by its host where it has no name', { url }, { name: 'hooks.example' }],
    ['may be half written while it is disabled', { disabled: true }, { disabled: true, name: 'endpoint-0', url: '' }],
  ]
  test.each(works)('%s', (_, given, expected) => {
    const { endpoints, problems, warnings } = load([given])
    expect([lines(problems), lines(warnings)]).toEqual([[], []])
    expect(endpoints).toEqual([{ ...plain, ...expected }])
  })

  const at = 'config.yml:4: notifications.endpoints'
  const refused: [sentence: string, given: object[], problem: string][] = [
    ['without a URL', [{ name: 'a' }], `${at}[0].url: is no URL to post to`],
    ['with one of another kind', [{ name: 'a', url: 'ftp://x/' }], `${at}[0].url: is no URL to post to`],
    [
      'called as another',
      [
        { name: 'a', url },
        { name: 'a', url },
      ],
      `${at}[1].name: "a" is the name of endpoints[0], too`,
    ],
    [
      'called as another by its host',
      [{ url }, { url }],
      `${at}[1].name: "hooks.example" is the name of endpoints[0], too`,
    ],
    [
      'with no duration',
      [{ name: 'a', url, timeout: 'soon' }],
      `${at}[0].timeout: "soon" is no duration; write one such as 10s or 2h45m`,
    ],
    ['with a negative limit', [{ name: 'a', url, maxattempts: -1 }], `${at}[0].maxattempts: must not be negative`],
    [
      'with a header that is none',
      [{ name: 'a', url, headers: { 'a b': ['x'] } }],
      `${at}[0].headers.a b: is no header name`,
    ],
    [
      'with a value that no header may carry',
      [{ name: 'a', url, headers: { a: ['x\ny'] } }],
      `${at}[0].headers.a: has a value with characters that no header may carry`,
    ],
    [
      'with a header that is no list',
      [{ name: 'a', url, headers: { a: 'x' } }],
      `${at}[0].headers.a: must be a list, not a text`,
    ],
    [
      'of an unknown media type',
      [{ name: 'a', url, mediatype: 'application/json' }],
      `${at}[0].mediatype: must be one of application/vnd.docker.distribution.events.v2+json, application/vnd.docker.distribution.events.v1+json`,
    ],
  ]
  test.each(refused)('%s is refused', (_, given, problem) => {
    const { endpoints, problems } = load(given)
    expect(lines(problems)).toEqual([problem])
    expect(endpoints).toBeUndefined()
  })

  const warned: [sentence: string, given: object, warning: string][] = [
    ['with a time that is none', { timeout: 5 }, `${at}[0].timeout: "5" is less than a millisecond; 1s is used`],
    [
      'with an action that no event has',
      { ignore: { actions: ['pulls'] } },
      `${at}[0].ignore.actions[0]: no event has the action "pulls"`,
    ],
    [
      'with a header that is not its own',
      { headers: { 'Content-Type': ['a/b'] } },
      `${at}[0].headers.Content-Type: is set by the request itself; it is left out`,
    ],
  ]
  test.each(warned)('%s is warned about', (_, given, warning) => {
    const { endpoints, problems, warnings } = load([{ name: 'a', url, ...given }])
    expect(lines(problems)).toEqual([])
    expect(lines(warnings)).toEqual([warning])
    expect(endpoints).toMatchObject([{ timeoutMs: 1000, headers: {} }])
  })
})

describe('variables', () => {
  test('name an endpoint by its place, and its keys', () => {
    const { endpoints, problems, warnings } = load([], {
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_NAME: 'a',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL: url,
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_TIMEOUT: '3s',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_HEADERS_AUTHORIZATION: '[Bearer x]',
      REGISTRY_NOTIFICATIONS_ENDPOINTS_0_IGNORE_ACTIONS: '[pull]',
      REGISTRY_NOTIFICATIONS_EVENTCONFIG_INCLUDEREFERENCES: 'true',
    })
    expect([lines(problems), lines(warnings)]).toEqual([[], []])
    const headers = { authorization: ['Bearer x'] }
    expect(endpoints).toEqual([{ ...plain, timeoutMs: 3000, headers, ignoredActions: ['pull'] as never }])
  })

  test('replace all endpoints at once', () => {
    const yaml = `- name: b\n  url: ${url}\n- name: c\n  url: ${url}\n`
    const { endpoints, config } = load([{ name: 'a', url }], { REGISTRY_NOTIFICATIONS_ENDPOINTS: yaml })
    expect(endpoints?.map(({ name }) => name)).toEqual(['b', 'c'])
    expect(config?.notifications.includeReferences).toBe(false)
  })
})

test('what is a secret is masked where the configuration is shown', () => {
  const { effective } = load([
    { name: 'a', url: 'https://me:hidden@hooks.example/x', headers: { Authorization: ['Bearer hidden'] } },
  ])
  const shown = printEffective(effective)
  expect(shown).not.toContain('hidden')
  expect(shown).toContain('https://me:********@hooks.example/x')
  expect(shown).toContain('headers: "********"')
})
