/** Files that run as Workers, below `src`, without their ending: entry points of their own wherever the program is put together. */
export const WORKER_PROGRAMS = [
  'auth/password-worker',
  'metadata/look-worker',
  'metadata/snapshot-worker',
  'metadata/sqlite-worker',
  'storage/write-worker',
] as const

export type WorkerProgram = (typeof WORKER_PROGRAMS)[number]

/**
 * Set when the program is put together (`build/bundle.ts`, `build/executable.ts`): the address of the folder in which the entry
 * points keep their places. `import.meta` is the source's there, if it says anything.
 */
declare const BUNDLE: string | undefined

/** Where a Worker's script is. */
export function workerUrl(program: WorkerProgram): URL {
  return typeof BUNDLE === 'string' ? new URL(`${program}.js`, BUNDLE) : new URL(`../${program}.ts`, import.meta.url)
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
