import { expect, test } from 'bun:test'
import { formatProblems } from './problem.ts'

test('problems are in the order of the lines, with what to do below each, warnings after them', () => {
  const text = formatProblems(
    [
      { where: 'c.yml:12', path: 'http.tls.key', message: 'is bad', fix: 'Make it good.' },
      { where: 'c.yml:2', path: '', message: 'not valid YAML' },
      { where: 'REGISTRY_X', path: '', message: 'no such key' },
    ],
    [{ where: 'c.yml:1', path: 'auth', message: 'open' }],
  )
  expect(text).toBe(`c.yml:2: error: not valid YAML
c.yml:12: error: http.tls.key: is bad
    Make it good.
REGISTRY_X: error: no such key
c.yml:1: warning: auth: open
`)
})

test('nothing wrong is no text', () => {
  expect(formatProblems([])).toBe('')
})

test('control characters of a file do not reach the terminal', () => {
  expect(formatProblems([{ where: 'f', path: '\u001b[2J', message: 'm' }])).toBe('f: error: \ufffd[2J: m\n')
})
