/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let signals = 0
  const onSignal = () => {
    signals++
    if (signals > 1) process.exit(130)
    resolve()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return promise
}

/** Does the work at each SIGHUP, as servers that are asked to read their configuration again do. It must not reject. */
export function onHangup(work: () => Promise<void>): void {
  process.on('SIGHUP', () => void work())
}
