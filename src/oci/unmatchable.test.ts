import { expect, test } from 'bun:test'
import { unmatchable } from './unmatchable.ts'

test.each<[string, 'repository' | 'tag', RegExp | undefined]>([
  ['team/app', 'repository', undefined],
  ['team/**', 'repository', undefined],
  ['!team/x?', 'repository', undefined],
  ['[A-Z]*', 'repository', undefined],
  ['**', 'repository', undefined],
  ['/^Team/', 'repository', undefined],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: docker_auth's own
  ['${account}/*', 'repository', undefined],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: docker_auth's own
  ['${labels:Group}/app', 'repository', undefined],
  ['a\\_b', 'repository', undefined],
  ['Team/*', 'repository', /^can match nothing: the name of a repository has no capitals$/],
  ['registry.example:5000/team/*', 'repository', /has no ":"$/],
  ['team/app ', 'repository', /has no " "$/],
  ['!team\\*', 'repository', /has no "\*"$/],
  ['/team/*', 'repository', /neither begins nor ends with "\/"/],
  ['team/', 'repository', /neither begins nor ends/],
  ['team//app', 'repository', /two in a row$/],
  ['v*', 'tag', undefined],
  ['V1.0', 'tag', undefined],
  ['/a:b/', 'tag', undefined],
  ['!v[:]', 'tag', undefined],
  ['app:v*', 'tag', /^can match nothing: the name of a tag has no ":"$/],
  ['team/app', 'tag', /has no "\/"$/],
  ['v1+build', 'tag', /has no "\+"$/],
])('%s for a %s', (pattern, kind, expected) => {
  const said = unmatchable(pattern, kind)
  if (expected === undefined) expect(said).toBeUndefined()
  else expect(said).toMatch(expected)
})
