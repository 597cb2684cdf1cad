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

/** What repositories below a prefix may hold, and hold. */
export interface Amounts {
  /** Of manifests, and of the blobs that they need, each blob once. */
  bytes: number
  tags: number
  /** That have a manifest. */
  repositories: number
}

/** Undefined: as much as there is room for. */
export type QuotaLimits = { [Key in keyof Amounts]: number | undefined }

/** Who set a quota: the configuration, or an administrator. */
export type QuotaSource = 'config' | 'api'

export interface QuotaRow {
  id: number
  /** Of the repository of that name, and of those whose names begin with it and a slash; `''` of all. */
  prefix: string
  source: QuotaSource
  limits: QuotaLimits
  used: Amounts
  /** Bytes of blobs that were uploaded or mounted, and that no manifest below the prefix needs (yet). */
  waiting: number
  /** `counting`: what was there before the quota is not wholly counted, and nothing is refused until it is. */
  state: 'counting' | 'exact'
  createdAt: number
  updatedAt: number
}

/**
 * How much parts of the registry may hold. What is used is counted in the transactions that change it, so that parallel pushes
 * cannot pass a limit together. A change that adds nothing is never refused; nor is one that takes away.
 */
export interface Quotas {
  /** In the order of their prefixes. */
  list(): Promise<QuotaRow[]>
  /** Makes a quota, or changes the limits of the one of that prefix and source. */
  set(quota: { prefix: string; source: QuotaSource; limits: QuotaLimits; now: number }): Promise<void>
  /** Whether there was one. */
  remove(prefix: string, source: QuotaSource): Promise<boolean>
  /** Those of the configuration are these from now on. */
  configure(quotas: readonly { prefix: string; limits: QuotaLimits }[], now: number): Promise<void>
  /**
   * Counts a portion of what was there before a quota, or forgets a portion of what one had counted, or of a repository that has another
   * name by now. Resolves to whether there is more to do. Of manifests, that are at most `most` (100 unless told). Relaxed.
   */
  count(most?: number): Promise<boolean>
  /** Whether `count` has anything to do. */
  isBehind(): Promise<boolean>
  /** Renames that wait for their next portion are given up: a program that begins has none under way. */
  giveUpRenames(): Promise<void>
  /** Quotas that are over a repository, and whether what they count has the blob. */
  over(repository: string, digest: Digest | undefined): Promise<(QuotaRow & { hasBlob: boolean })[]>
  /**
   * What was counted, and what the tables hold, at one moment. Undefined when there is no such quota, or it counts a repository that is
   * about to get another name, or has got one. It is one long look, which holds nobody up.
   */
  recount(id: number): Promise<{ stored: Amounts; counted: Amounts } | undefined>
  /** Counts anew. Whether there was one. */
  restart(id: number, now: number): Promise<boolean>
}

/** Why a change is refused that the database could make: the text for people is made of this where the answer is. */
export type Denial = ImmutableDenial | QuotaDenial

export interface QuotaDenial {
  kind: 'quota'
  prefix: string
  /** `waiting`: bytes that wait for manifests; `uploads`: these, and those of uploads under way. */
  resource: keyof Amounts | 'waiting' | 'uploads'
  /** Without what was asked for. Of `uploads`: what images have, which `open` is not a part of. */
  used: number
  /** Bytes of other uploads under way, and of blobs that wait for manifests. */
  open?: number
  asked: number
  allowed: number
}

export interface ImmutableDenial {
  kind: 'immutable'
  rule: string
  repository: string
  tag: string
  /** What the tag stands for, and goes on to. */
  digest: Digest
  /** What it was to stand for; undefined: it was to be deleted. */
  asked: Digest | undefined
}
