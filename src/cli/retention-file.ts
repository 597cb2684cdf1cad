import { readRetentionRules } from '../config/retention-file.ts'
import type { RetentionRuleView } from '../http/api/retention-schemas.ts'
import { writtenRule } from '../oci/retention-rule.ts'
import { CommandError } from './error.ts'

/** Rules of a file, as the API takes them. @throws CommandError with every problem, each with its line */
export function readRetentionFile(file: string): RetentionRuleView[] {
  try {
    return readRetentionRules(file).map((rule) => {
      const { repositories, tags, ...written } = writtenRule(rule)
      return {
        ...written,
        ...(repositories === undefined ? {} : { repositories: [...repositories] }),
        ...(tags === undefined ? {} : { tags: [...tags] }),
        ...{ name: rule.name, action: rule.action },
      }
    })
  } catch (error) {
    throw new CommandError(`the rules cannot be used:\n${error instanceof Error ? error.message : String(error)}`)
  }
}
