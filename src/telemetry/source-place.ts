import { existsSync, readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'

/** A line of a file, counted from 1. */
export interface Place {
  path: string
  line: number
}

const maps = new Map<string, SourceMap | undefined>()

/**
 * Where a place in a bundled file comes from, as the map says that `build/bundle.ts` puts into `maps`; the place itself without one.
 * Reading a map takes 0.1 s, once.
 */
export function sourcePlace({ path, line, column }: Place & { column: number }): Place {
  let map = maps.get(path)
  if (!maps.has(path)) {
    map = readMap(join(dirname(path), 'maps', `${basename(path)}.map`))
    maps.set(path, map)
  }
  // Counted from 0, unlike the lines of a stack.
  const entry = map?.findEntry(line - 1, column - 1)
  if (entry === undefined || !('originalSource' in entry)) return { path, line }
  return { path: resolve(dirname(path), entry.originalSource), line: entry.originalLine + 1 }
}

function readMap(path: string): SourceMap | undefined {
  return existsSync(path) ? new SourceMap(JSON.parse(readFileSync(path, 'utf8'))) : undefined
}
