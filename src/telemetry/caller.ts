import { sourcePlace } from './source-place.ts'

const ROOT = new URL('../..', import.meta.url).pathname

/**
 * Who called the code that is `depth` calls above this: the function, and file and line below the program's folder, as registry 3
 * names them. Nothing where the runtime does not tell.
 */
export function callerOf(depth: number): { func?: string; file?: string } {
  const frames = (new Error().stack ?? '').split('\n').slice(1)
  for (const frame of frames.slice(depth + 1)) {
    const match = /^\s*at (?:async )?(?:(.*?) \()?([^()\s]+):(\d+):(\d+)\)?$/.exec(frame)
    const [, name, path = ''] = match ?? []
    if (match === null || path.startsWith('native:')) continue
    const place = sourcePlace({ path, line: Number(match[3]), column: Number(match[4]) })
    const file = place.path.startsWith(ROOT) ? place.path.slice(ROOT.length) : place.path
    return { ...(name === undefined || name === '' ? {} : { func: name }), file: `${file}:${place.line}` }
  }
  return {}
}
