import { isRepositoryName } from './name.ts'

/**
 * The prefix that a quota has, as people write it: `team`, `team/`, `team/*` and `team/**` are the same, which ends where a part
 * of a path ends; `*` and `**` are `''`, which is over all. Undefined: it can be over no
 * repository, as `/` is not, which a script writes (`$TEAM/`) whose variable is empty.
 */
export function quotaPrefix(text: string): string | undefined {
  if (/^\*{1,2}$/.test(text)) return ''
  const prefix = text.replace(/\/\*{0,2}$/, '')
  return isRepositoryName(prefix) ? prefix : undefined
}

/** For people. */
export function quotaPrefixText(prefix: string): string {
  return prefix === '' ? '*' : prefix
}
