import { UnavailableError } from './authenticator.ts'

export interface CommandOptions {
  /** A path, or a name that is looked up in PATH. No shell sees it. */
  command: string
  args: readonly string[]
  /** Milliseconds for an answer, and as many at most for the wait before it. */
  timeoutMs: number
  /** Children at once; more wait. */
  maxChildren: number
  /** Questions that may wait for a child. Default 256. */
  queueLimit?: number
  /** Milliseconds in which output may still come after the end of the program from something that it started. Default 200. */
  drainMs?: number
  /** Told what the program writes to its error output, and why it could not be started. */
  warn?: (message: string, fields: Record<string, unknown>) => void
}

export interface CommandAnswer {
  /** -1 when a signal ended it, as in Go. */
  exitCode: number
  stdout: string
}

export interface Command {
  /**
   * Runs the program once with our environment; the question goes to its standard input, which then ends.
   * @param secret a part of the question that must not be in a log, whatever the program does with it.
   * @throws UnavailableError when it cannot be started, does not answer in time, writes more than 1 MiB, or too many wait.
   */
  run(stdin: string, secret?: string): Promise<CommandAnswer>
  /** Kills what runs and refuses what waits; returns when the children are gone. */
  close(): Promise<void>
}

const MAX_STDOUT = 1024 * 1024
/** Characters of the error output that are told. */
const TOLD_STDERR = 200
/** Bytes of it that are kept: a secret that ends in what is told is then found whole. */
const KEPT_STDERR = 64 * 1024
const DRAIN_MS = 200
/** How long `close` waits for children that were killed. */
const CLOSE_MS = 2_000

type Child = Bun.Subprocess<Uint8Array, 'pipe', 'pipe'>

/**
 * A program that answers by its exit code and its output. It is the head of a process group of its own, and the whole
 * group is killed when it ends or its time is over: what it left in the background can neither keep us waiting nor pile up.
 */
export function createCommand(options: CommandOptions): Command {
  const { command, args, timeoutMs, maxChildren, queueLimit = 256, drainMs = DRAIN_MS, warn } = options
  const waiting = new Set<{ start: () => void; refuse: (error: Error) => void }>()
  const running = new Map<Child, (message: string) => void>()
  let active = 0
  let closed = false

  async function takeSlot(): Promise<void> {
    if (closed) throw new UnavailableError('the command is not asked any more')
    if (active < maxChildren) {
      active++
      return
    }
    if (waiting.size >= queueLimit) throw new UnavailableError('too many questions wait for the command')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const place = { start: resolve, refuse: reject }
    waiting.add(place)
    const timer = setTimeout(() => {
      waiting.delete(place)
      reject(new UnavailableError(`the command was busy for ${timeoutMs} ms`))
    }, timeoutMs)
    try {
      await promise
    } finally {
      clearTimeout(timer)
    }
  }

  function freeSlot(): void {
    const [next] = waiting
    // The slot goes to the one that waited longest, so `active` stays.
    if (next === undefined) active--
    else {
      waiting.delete(next)
      next.start()
    }
  }

  function spawn(stdin: string): Child {
    try {
      return Bun.spawn([command, ...args], {
        stdin: new TextEncoder().encode(stdin),
        stdout: 'pipe',
        stderr: 'pipe',
        env: process.env,
        detached: true,
      })
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
      warn?.('the command cannot be started', { command, code })
      throw new UnavailableError('the command cannot be started', { cause })
    }
  }

  async function answer(child: Child, secret: string): Promise<CommandAnswer> {
    const failure = Promise.withResolvers<never>()
    const fail = (message: string) => {
      killGroup(child)
      failure.reject(new UnavailableError(message))
    }
    const timer = setTimeout(() => fail(`the command did not answer within ${timeoutMs} ms`), timeoutMs)
    const output = collect(child.stdout, MAX_STDOUT, () => fail('the command wrote more than 1 MiB'))
    const errors = collect(child.stderr, KEPT_STDERR)
    running.set(child, fail)

    async function finish(): Promise<CommandAnswer> {
      await child.exited
      clearTimeout(timer)
      await atMost(Promise.all([output.ended, errors.ended]), drainMs)
      killGroup(child)
      const exitCode = child.signalCode === null ? (child.exitCode ?? -1) : -1
      const text = errors.text()
      if (text.trim() !== '') {
        const stderr =
          secret !== '' && text.includes(secret) ? '(withheld, for a password is in it)' : lastOf(text, TOLD_STDERR)
        warn?.('the command wrote to its error output', { command, exitCode, stderr })
      }
      return { exitCode, stdout: output.text() }
    }

    try {
      return await Promise.race([failure.promise, finish()])
    } finally {
      clearTimeout(timer)
      running.delete(child)
      output.cancel()
      errors.cancel()
    }
  }

  return {
    async run(stdin, secret = '') {
      await takeSlot()
      let child: Child
      try {
        if (closed) throw new UnavailableError('the command is not asked any more')
        child = spawn(stdin)
      } catch (error) {
        freeSlot()
        throw error
      }
      // Not with the answer: a child that was killed holds its slot until it is gone.
      child.exited.then(freeSlot, freeSlot)
      return await answer(child, secret)
    },
    async close() {
      closed = true
      for (const { refuse } of waiting) refuse(new UnavailableError('the command is not asked any more'))
      waiting.clear()
      const children = [...running]
      for (const [, fail] of children) fail('the command was stopped')
      await atMost(Promise.all(children.map(([child]) => child.exited)), CLOSE_MS)
    },
  }
}

function killGroup({ pid }: Child): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of the group is left.
  }
}

async function atMost(promise: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  try {
    await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

interface Collected {
  /** At the end of the stream, or when it cannot be read on. */
  ended: Promise<void>
  /** What came last, up to the limit. */
  text(): string
  cancel(): void
}

/** Reads a stream to its end and keeps its last `limit` bytes; `overflow` is called at the first byte too many. */
function collect(stream: ReadableStream<Uint8Array>, limit: number, overflow?: () => void): Collected {
  const reader = stream.getReader()
  let kept: Uint8Array[] = []
  let size = 0
  async function read(): Promise<void> {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      kept.push(next.value)
      size += next.value.length
      if (size > limit) {
        overflow?.()
        const tail = Buffer.concat(kept).subarray(-limit)
        kept = [tail]
        size = tail.length
      }
    }
  }
  return {
    ended: read().catch(() => undefined),
    text: () => new TextDecoder().decode(Buffer.concat(kept)),
    cancel() {
      reader.cancel().catch(() => undefined)
    },
  }
}

/** The last characters, on one line, without what a terminal would obey. */
function lastOf(text: string, count: number): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return [...line].slice(-count).join('')
}
