import type { Digest } from '../oci/digest.ts'

/** Tags of one repository that a rule keeps where they are. */
export interface TagProtection {
  /** Name of the rule, for whoever is refused. */
  rule: string
  /** Which tags, as `compileSelector` takes them. */
  tags: readonly string[]
}

/** A rule of immutable tags that an administrator made. */
export interface ImmutableRuleRow {
  /** Unlike that of any other. */
  name: string
  /** As `compileSelector` takes them; so are `tags`. */
  repositories: string[]
  tags: string[]
  comment: string
  createdAt: number
}

export interface ImmutableRules {
  /** In the order of their names. */
  list(): Promise<ImmutableRuleRow[]>
  /** False when there is one of that name. */
  add(rule: ImmutableRuleRow): Promise<boolean>
  /** Whether there was one. */
  remove(name: string): Promise<boolean>
}

/** Why a change is refused that the database could make: the text for people is made of this where the answer is. */
export type Denial = {
  kind: 'immutable'
  rule: string
  repository: string
  tag: string
  /** What the tag stands for, and goes on to. */
  digest: Digest
  /** What it was to stand for; undefined: it was to be deleted. */
  asked: Digest | undefined
}
