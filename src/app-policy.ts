import { RE2JS } from 're2js'
import type { Config } from './config/config.ts'
import type { Policy } from './registry/validation.ts'

/** distribution's sections `validation` and `policy` as the registry asks them. Patterns are RE2, without anchors. */
export function policyOf({ validation, policy }: Pick<Config, 'validation' | 'policy'>): Policy {
  const { enabled, urls, indexes } = validation
  const allow = urls.allow.map((pattern) => RE2JS.compile(pattern))
  const deny = urls.deny.map((pattern) => RE2JS.compile(pattern))
  const matches = (pattern: RE2JS, url: string) => pattern.matcher(url).find()
  return {
    enabled,
    classes: policy.classes,
    // distribution: with neither list nothing is allowed; `allow` must have one that matches, `deny` none.
    allowsUrl: (url) =>
      (allow.length > 0 || deny.length > 0) &&
      (allow.length === 0 || allow.some((pattern) => matches(pattern, url))) &&
      !deny.some((pattern) => matches(pattern, url)),
    requiresChild: ({ platform }) => {
      switch (indexes.platforms) {
        case 'all':
          return true
        case 'none':
          return false
        case 'list':
          return indexes.list.some(
            ({ os, architecture }) => platform?.os === os && platform.architecture === architecture,
          )
        default:
          return indexes satisfies never
      }
    },
  }
}
