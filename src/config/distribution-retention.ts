import { z } from 'zod'
import { described, duration, flag, list, once, optional, section, text, texts } from './schema.ts'

/** Own section: what is deleted by rules. The words are those of `oci/retention-rule.ts`. */

const count = (doc: string) => optional(z.number().int(), doc)

/** A choice without a default: whether it is said matters. */
const choice = <const T extends readonly [string, ...string[]]>(values: T, doc: string) => optional(z.enum(values), doc)

export const retentionRuleSchema = once(() =>
  z.object({
    name: text('Name of the rule, which the history of tags has as the cause; rule-1 for the first, and so on'),
    repositories: texts(
      'Patterns of repositories: globs, /RE2/, and ! before either takes out; all when there is none',
    ),
    tags: texts('Patterns of tags; all when there is none'),
    state: choice(['tagged', 'untagged', 'any'], 'tagged (the default), untagged: manifests without a tag, or any'),
    expired: flag(false, 'Only what says of itself that it has expired'),
    on: choice(
      ['pushed', 'pulled'],
      'What ages and counts go by: the last push (the default), or the last pull or push',
    ),
    newest: count('Only the newest so many of each repository that the patterns match; of a rule that keeps'),
    oldest: count('Only the oldest so many; of a rule that keeps'),
    beyondnewest: count('All but the newest so many; of a rule that deletes'),
    count: choice(['tags', 'images'], 'What is counted: tags (the default), or images, of which several tags are one'),
    olderthan: text('Only what is older: 30d, 12h, 2w'),
    newerthan: text('Only what is newer'),
    mayempty: flag(false, 'What the rule deletes may be the last that a repository has'),
    action: choice(['delete', 'keep'], 'What the rule does: delete or keep'),
  }),
)

export const retentionSchema = section(
  {
    enabled: flag(true, 'Carry the rules out; without it, berth retention run does it'),
    interval: duration('1h', 'Time between two runs'),
    expiry: section(
      {
        enabled: flag(true, 'Delete images that say of themselves that they have expired'),
        names: described(
          z._default(z.array(z.string()), ['berth.expires-after']),
          'Annotations and labels that say so: 2w after the push, or a date; quay.expires-after is that of Quay',
        ),
      },
      "Images' own word of their end",
    ),
    rules: list(retentionRuleSchema, 'Rules; the first that matches a tag decides about it'),
  },
  'Own section: retention, which deletes tags and images by rules',
)
