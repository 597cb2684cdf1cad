import { Glob } from 'bun'

/** A database server that a test started, as a child process of its own. */
export interface DatabaseServer {
  port: number
  /** MariaDB: the socket; PostgreSQL: its folder. */
  socket: string
  folder: string
  /** Starts it again after `stop`, on the same port with the same data. */
  start(): Promise<void>
  /** Ends it as a crash would. */
  stop(): Promise<void>
  /** From now on it holds its connections and answers nothing. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Ends it and deletes its folder. */
  remove(): Promise<void>
}

/** Runs a program to its end. @throws Error with what it said when it failed. */
export async function quietly(command: readonly string[], options: { cwd?: string }): Promise<void> {
  const child = Bun.spawn([...command], {
    ...options,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 120_000,
    killSignal: 'SIGKILL',
  })
  const [code, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
  if (code !== 0) throw new Error(`exit ${code}: ${command.join(' ')}\n${stdout}${stderr}`)
}

/** Resolves once `ask` does not throw. @throws Error with the server's log when it ends, or does not come up. */
export async function until(what: string, log: string, child: Bun.Subprocess, ask: () => Promise<void>): Promise<void> {
  let last: unknown
  for (let attempt = 0; attempt < 600; attempt++) {
    try {
      await ask()
      return
    } catch (error) {
      last = error
    }
    if (child.exitCode !== null || child.signalCode !== null) break
    await Bun.sleep(100)
  }
  child.kill('SIGKILL')
  const text = await Bun.file(log).text()
  throw new Error(`${what} did not start: ${last}\n${text.slice(-4000)}`)
}

/** Stops a process, all threads of it: the signal alone lets those that run go on for a moment. */
export async function stopProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  for (let attempt = 0; attempt < 500; attempt++) {
    const threads = [...new Glob('*/stat').scanSync(`/proc/${pid}/task`)]
    const states = await Promise.all(threads.map((path) => Bun.file(`/proc/${pid}/task/${path}`).text()))
    // "PID (NAME) STATE …", and the name may hold anything.
    if (states.every((text) => text.slice(text.lastIndexOf(')')).startsWith(') T'))) return
    await Bun.sleep(10)
  }
  throw new Error(`process ${pid} does not stop`)
}

export async function endChild(child: Bun.Subprocess | undefined, signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  // One that is stopped takes no other signal than SIGKILL until it goes on.
  child.kill('SIGCONT')
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await child.exited
  clearTimeout(timer)
}
