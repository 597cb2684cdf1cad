import { z } from 'zod'
import { anything, choice, flag, list, optional, part, section, seldom, text, texts } from './schema.ts'

/** What a pushed manifest must fulfil (`validation`). */
export const validation = section(
  {
    enabled: optional(z.boolean(), 'Old switch without effect; disabled turns validation off'),
    disabled: flag(false, 'Turn validation off'),
    manifests: section(
      {
        urls: section(
          {
            allow: texts('Patterns of which urls of a layer must match one'),
            deny: texts('Patterns that urls of a layer must not match'),
          },
          'URLs of layers; with both lists empty, none is allowed',
        ),
        indexes: section(
          {
            platforms: choice(['all', 'none', 'list'], 'all', 'Children of an index that must exist'),
            platformlist: list(
              () => z.object({ architecture: text('Such as amd64'), os: text('Such as linux') }),
              'Platforms for `list`',
            ),
          },
          'Indexes',
        ),
      },
      'Manifests',
    ),
  },
  'What a pushed manifest must fulfil',
)

/** Which kinds of images may be pushed (`policy`). */
export const policy = section(
  {
    repository: section(
      {
        classes: texts(
          'Kinds of images that may be pushed, by the media type of their config: image, plugin; empty for all',
        ),
      },
      'In any repository',
    ),
  },
  'What may be pushed',
)

/** Formats of long ago (`compatibility`). */
export const compatibility = seldom(
  () =>
    z.object({
      schema1: part(
        {
          enabled: anything('Take and convert manifests of schema 1'),
          signingkeyfile: anything('Key that signs them'),
        },
        'Manifests of schema 1',
      ),
    }),
  'Old formats',
)
