/** How a refusal tells of the rule (registry/denial.ts). */
const RULE = / is immutable by the rule ([\w.-]+):/

/**
 * What an administrator can do about a tag that a rule protects; undefined where the refusal is another. `forceable`: the command
 * itself has `--force` for it.
 */
export function ruleHint(message: string, { forceable }: { forceable: boolean }): string | undefined {
  const rule = RULE.exec(message)?.[1]
  if (rule === undefined) return undefined
  const without = `berth immutable rm ${rule} takes the rule away (one of the configuration is taken away there)`
  return forceable ? `--force does it all the same; ${without}` : `for administrators, on the server: ${without}`
}
