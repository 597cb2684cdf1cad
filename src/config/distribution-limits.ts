import { z } from 'zod'
import { list, optional, text, texts } from './schema.ts'

/** Own sections: what is not to happen. */

export const immutableSchema = list(
  () =>
    z.object({
      name: text('Name of the rule, which whoever is refused gets to read; immutable-1 for the first, and so on'),
      repositories: texts(
        'Patterns of repositories: globs, /RE2/, and ! before either takes out; all when there is none',
      ),
      tags: texts('Patterns of tags; all when there is none'),
    }),
  'Own section: tags that, once pushed, neither move to another manifest nor are deleted',
)

const notNegative = z.number().int().min(0)
const most = (doc: string) => optional(notNegative, doc)

export const quotasSchema = list(
  () =>
    z.object({
      prefix: text("Repositories that it is of: the one of that name, and those below it; '*' for all"),
      bytes: text('Most bytes of manifests and of the blobs that they need, each blob once: such as 50GiB'),
      tags: most('Most tags'),
      repositories: most('Most repositories'),
    }),
  'Own section: how much repositories below a prefix may hold',
)
