import type { Command } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'

/** Which tags of a repository are meant. */
export interface TagFilterFlags {
  include?: string
  exclude?: string
  omitDigestTags?: true
}

/** What stands for a referrer where the registry has no such list, and what cosign keeps beside an image. */
const DIGEST_TAG = /^sha(?:256|512)-[0-9a-f]{64,128}(?:\.[a-z]+)?$/

export function tagFilterOptions(command: Command): Command {
  return command
    .option('--include <regexp>', 'only tags that match')
    .option('--exclude <regexp>', 'no tags that match')
    .option('-O, --omit-digest-tags', 'without tags that stand for a digest (sha256-…)')
}

/** @throws UpstreamError `usage` */
export function tagFilter({ include, exclude, omitDigestTags }: TagFilterFlags): (tag: string) => boolean {
  const [wanted, unwanted] = [patternOf('--include', include), patternOf('--exclude', exclude)]
  return (tag) =>
    wanted?.test(tag) !== false && unwanted?.test(tag) !== true && !(omitDigestTags && DIGEST_TAG.test(tag))
}

function patternOf(option: string, text: string | undefined): RegExp | undefined {
  try {
    return text === undefined ? undefined : new RegExp(text)
  } catch (error) {
    throw new UpstreamError('usage', `${option}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
