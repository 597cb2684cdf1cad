import { z } from 'zod'
import { text, texts } from './schema.ts'

/** Own sections: what is not to happen. */

export const immutableSchema = z
  .array(
    z.object({
      name: text('Name of the rule, which whoever is refused gets to read; immutable-1 for the first, and so on'),
      repositories: texts(
        'Patterns of repositories: globs, /RE2/, and ! before either takes out; all when there is none',
      ),
      tags: texts('Patterns of tags; all when there is none'),
    }),
  )
  .default([])
  .describe('Own section: tags that, once pushed, neither move to another manifest nor are deleted')
