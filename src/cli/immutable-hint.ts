/**
 * What an administrator can do about a tag that a rule protects; undefined: none does. `forceable`: the command itself has
 * `--force` for it. `place`: the flags that lead to the server, as `placeFlags` has them.
 */
export function ruleHint(
  rule: string | undefined,
  { forceable, place = '' }: { forceable: boolean; place?: string },
): string | undefined {
  if (rule === undefined) return undefined
  const without = `berth immutable rm ${rule}${place} takes the rule away (one of the configuration is taken away there)`
  return forceable ? `--force does it all the same; ${without}` : `for administrators, on the server: ${without}`
}
