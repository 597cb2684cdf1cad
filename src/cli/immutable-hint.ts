/**
 * What an administrator can do about a tag that a rule protects; undefined: none does. `forceable`: the command itself has
 * `--force` for it.
 */
export function ruleHint(rule: string | undefined, { forceable }: { forceable: boolean }): string | undefined {
  if (rule === undefined) return undefined
  const without = `berth immutable rm ${rule} takes the rule away (one of the configuration is taken away there)`
  return forceable ? `--force does it all the same; ${without}` : `for administrators, on the server: ${without}`
}
