import { isRepositoryName, isTag } from '../oci/name.ts'
import { ExportError } from './export-error.ts'

/** What is to be exported: everything, when nothing is named. */
export interface Selection {
  /** Globs of repository names: `*` stays between slashes, `**` crosses them. */
  patterns: readonly string[]
  /** Repositories by their exact name, with the tags that are wanted of them; no tags: all that they hold. */
  images: ReadonlyMap<string, readonly string[]>
}

/** `team/app` and `team/app:1`, as arguments. @throws ExportError that names the argument which is none. */
export function parseSelection(images: readonly string[], patterns: readonly string[]): Selection {
  const wanted = new Map<string, string[]>()
  const whole = new Set<string>()
  for (const image of images) {
    if (image.includes('@')) throw new ExportError(`${image}: a digest cannot be selected; name a tag`)
    // One before a slash is that of a port.
    const colon = image.indexOf(':', image.lastIndexOf('/') + 1)
    const repository = colon === -1 ? image : image.slice(0, colon)
    const tag = colon === -1 ? undefined : image.slice(colon + 1)
    if (!isRepositoryName(repository)) {
      throw new ExportError(`${JSON.stringify(image)} is no REPOSITORY[:TAG] (without a host's name, as in team/app:1)`)
    }
    if (tag !== undefined && !isTag(tag)) throw new ExportError(`${JSON.stringify(image)}: that is no tag`)
    const tags = wanted.get(repository) ?? []
    wanted.set(repository, tag === undefined ? tags : [...tags, tag])
    if (tag === undefined) whole.add(repository)
  }
  for (const repository of whole) wanted.set(repository, [])
  return { patterns, images: wanted }
}

export function isSelected({ patterns, images }: Selection, name: string): boolean {
  if (patterns.length === 0 && images.size === 0) return true
  return images.has(name) || patterns.some((pattern) => new Bun.Glob(pattern).match(name))
}

/** The one repository that is named exactly, and nothing besides. */
export function singleRepository({ patterns, images }: Selection): string | undefined {
  return patterns.length === 0 && images.size === 1 ? [...images.keys()][0] : undefined
}

/** Tags that are wanted of a repository; undefined: all that it holds. */
export function tagsOf({ patterns, images }: Selection, name: string): readonly string[] | undefined {
  const tags = images.get(name) ?? []
  if (tags.length === 0 || patterns.some((pattern) => new Bun.Glob(pattern).match(name))) return undefined
  return [...new Set(tags)]
}
