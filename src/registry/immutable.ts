import type { ImmutableRuleRow, ImmutableRules, TagProtection } from '../metadata/metadata.ts'
import { compileSelector, type Selector } from '../oci/selector.ts'

/** Tags that, once pushed, neither move nor go: by rules of the configuration, and by those that administrators made. */
export interface ImmutableTags {
  /** The configuration's come first. */
  list(): Promise<ImmutableRule[]>
  /** What protects tags of the repository; empty: nothing. Answers at once, without a promise, when memory has the rules. */
  of(repository: string): readonly TagProtection[] | Promise<readonly TagProtection[]>
  /** The rule that protects the tag, whether or not it exists. */
  test(repository: string, tag: string): Promise<ImmutableRule | undefined>
  /** `taken`: there is a rule of that name. The patterns have been looked at. */
  add(rule: Omit<ImmutableRule, 'source' | 'createdAt'>): Promise<ImmutableRule | 'taken'>
  /** `configured`: the configuration has it, where it is changed. */
  remove(name: string): Promise<'removed' | 'unknown' | 'configured'>
}

/** As a configuration has it. */
export interface ConfiguredRule {
  name: string
  repositories: readonly string[]
  tags: readonly string[]
}

export interface ImmutableRule extends ConfiguredRule {
  comment: string
  source: 'config' | 'api'
  /** Undefined of a rule of the configuration. */
  createdAt: number | undefined
}

type Compiled = ImmutableRule & { ofRepositories: Selector; ofTags: Selector }

export function createImmutableTags(deps: {
  rules: ImmutableRules
  /** Those of the configuration in force: the same array until it changes. */
  configured: () => readonly ConfiguredRule[]
  now: () => number
}): ImmutableTags {
  const { rules, configured, now } = deps
  let made: Promise<readonly Compiled[]> | undefined
  let ready: { configured: readonly ConfiguredRule[]; made: readonly Compiled[]; all: readonly Compiled[] } | undefined

  /** One process owns the database: what was read once is so until it is changed here. */
  function load(): Promise<readonly Compiled[]> {
    if (made !== undefined) return made
    const reading = rules.list().then((rows) => rows.map((row) => compile({ ...row, source: 'api' })))
    made = reading
    reading.then(
      (list) => {
        if (made === reading) ready = merged(list)
      },
      () => {
        if (made === reading) made = undefined
      },
    )
    return reading
  }

  function merged(list: readonly Compiled[]): NonNullable<typeof ready> {
    const own = configured()
    const first = own.map((rule) => compile({ ...rule, comment: '', source: 'config', createdAt: undefined }))
    return { configured: own, made: list, all: [...first, ...list] }
  }

  /** At once, where they are known. */
  function known(): readonly Compiled[] | undefined {
    if (ready === undefined) return undefined
    if (ready.configured !== configured()) ready = merged(ready.made)
    return ready.all
  }

  async function all(): Promise<readonly Compiled[]> {
    return known() ?? merged(await load()).all
  }

  function forget(): void {
    made = undefined
    ready = undefined
  }

  return {
    list: async () => (await all()).map(bare),

    of(repository) {
      const now = known()
      return now === undefined ? all().then((list) => protectionsOf(list, repository)) : protectionsOf(now, repository)
    },

    async test(repository, tag) {
      const found = (await all()).find((rule) => rule.ofRepositories.matches(repository) && rule.ofTags.matches(tag))
      return found && bare(found)
    },

    async add({ name, repositories, tags, comment }) {
      if ((await all()).some((rule) => rule.name === name)) return 'taken'
      const lists = { repositories: [...repositories], tags: [...tags] }
      const row: ImmutableRuleRow = { name, ...lists, comment, createdAt: now() }
      try {
        return (await rules.add(row)) ? { ...row, source: 'api' } : 'taken'
      } finally {
        forget()
      }
    },

    async remove(name) {
      const sources = (await all()).flatMap((rule) => (rule.name === name ? rule.source : []))
      if (sources.length > 0 && !sources.includes('api')) return 'configured'
      try {
        return (await rules.remove(name)) ? 'removed' : 'unknown'
      } finally {
        forget()
      }
    },
  }
}

/** Where there are no rules. */
export const NOTHING_IMMUTABLE: Pick<ImmutableTags, 'of'> = { of: () => NOTHING }

const NOTHING: readonly TagProtection[] = []

function protectionsOf(rules: readonly Compiled[], repository: string): readonly TagProtection[] {
  if (rules.length === 0) return NOTHING
  const found = rules.filter((rule) => rule.ofRepositories.matches(repository))
  return found.map(({ name, tags }) => ({ rule: name, tags: [...tags] }))
}

function compile(rule: ImmutableRule): Compiled {
  return { ...rule, ofRepositories: compileSelector(rule.repositories), ofTags: compileSelector(rule.tags) }
}

function bare({ name, repositories, tags, comment, source, createdAt }: Compiled): ImmutableRule {
  return { name, repositories, tags, comment, source, createdAt }
}
