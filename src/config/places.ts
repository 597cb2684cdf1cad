import { describePath, describeSource, type MapNode, type Path, type Source, sourceAt } from './node.ts'
import type { Findings, Problem } from './problem.ts'

/** The merged tree, where its parts came from, and how to speak about a key of it. */
export interface Places {
  readonly root: MapNode
  readonly findings: Findings
  /** The file of the token server, whose keys stand under `tokenserver` in the tree but not in the file. */
  readonly authFile: string | undefined
  /** `config.yml:12` of the key, or of the nearest key above it. */
  where(path: Path): string
  /** The key as its own file calls it. */
  name(path: Path): string
  problem(path: Path, message: string, fix?: string): void
  warn(path: Path, message: string, fix?: string): void
}

export function createPlaces(root: MapNode, authFile: string | undefined, findings: Findings): Places {
  const where = (path: Path): string => {
    const text = describeSource(sourceAt(root, path))
    return text === 'default' ? 'configuration' : text
  }
  const name = (path: Path): string => {
    const own = path[0] === 'tokenserver' && path.length > 1 && isFrom(sourceAt(root, path), authFile)
    return describePath(own ? path.slice(1) : path)
  }
  const make = (path: Path, message: string, fix: string | undefined): Problem => ({
    where: where(path),
    path: name(path),
    message,
    ...(fix === undefined ? {} : { fix }),
  })
  return {
    root,
    findings,
    authFile,
    where,
    name,
    problem: (path, message, fix) => {
      if (!findings.refused(name(path))) findings.problem(make(path, message, fix))
    },
    warn: (path, message, fix) => findings.warn(make(path, message, fix)),
  }
}

export function isFrom(source: Source, file: string | undefined): boolean {
  return file !== undefined && source.kind === 'file' && source.file === file
}
