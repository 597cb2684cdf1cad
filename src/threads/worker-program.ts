/** Files that run as Workers, below `src`, without their ending: entry points of their own wherever the program is put together. */
export const WORKER_PROGRAMS = [
  'auth/password-worker',
  'metadata/snapshot-worker',
  'metadata/sqlite-worker',
  'storage/write-worker',
] as const

export type WorkerProgram = (typeof WORKER_PROGRAMS)[number]

/** Set when `build/bundle.ts` puts the program together: the address of the folder in which it is. */
declare const BUNDLE: string | undefined

/**
 * Where a Worker's script is. In a single-file executable every module's address is that of the file's root, and other entry
 * points keep their places in `src` below it.
 */
export function workerUrl(program: WorkerProgram): URL {
  if (typeof BUNDLE === 'string') return new URL(`${program}.js`, BUNDLE)
  const isCompiled = import.meta.dir.startsWith('/$bunfs/')
  return new URL(`${isCompiled ? './' : '../'}${program}.ts`, import.meta.url)
}

const ahead = new Map<WorkerProgram, Worker>()

/**
 * Starts a Worker that will be needed, so that it loads while the main thread loads its own modules. It does not keep the
 * process alive before `startWorker` hands it out.
 */
export function startAhead(program: WorkerProgram): void {
  const worker = new Worker(workerUrl(program))
  worker.unref()
  // Whoever asks for it then meets the failure in one of his own.
  const forget = (event: Event) => {
    event.preventDefault()
    if (ahead.get(program) === worker) ahead.delete(program)
  }
  worker.addEventListener('error', forget)
  worker.addEventListener('close', forget)
  ahead.set(program, worker)
}

export function startWorker(program: WorkerProgram): Worker {
  const known = ahead.get(program)
  ahead.delete(program)
  known?.ref()
  return known ?? new Worker(workerUrl(program))
}
