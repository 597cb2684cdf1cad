const ROOT = new URL('../..', import.meta.url).pathname

/**
 * Who called the code of `ownFile`: the function, and file and line below the program's folder, as registry 3 names them.
 * Nothing where the runtime does not tell.
 */
export function callerOf(ownFile: string): { func?: string; file?: string } {
  const frames = (new Error().stack ?? '').split('\n').slice(1)
  for (const frame of frames) {
    const match = /^\s*at (?:async )?(?:(.*?) \()?([^()\s]+):(\d+):\d+\)?$/.exec(frame)
    const [, name, path = '', line] = match ?? []
    if (match === null || path === ownFile || path === import.meta.path || path.startsWith('native:')) continue
    const file = path.startsWith(ROOT) ? path.slice(ROOT.length) : path
    return { ...(name === undefined || name === '' ? {} : { func: name }), file: `${file}:${line}` }
  }
  return {}
}
