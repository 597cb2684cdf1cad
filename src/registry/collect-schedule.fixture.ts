import { AsyncLocalStorage } from 'node:async_hooks'
import type { Gate } from './collect-model.fixture.ts'

/** Lets operations of several clients and collectors go on, a call at a time, in an order that a seed decides. */
export interface Schedule {
  /** Counts what the driver let happen: what is written down during it happened in between. */
  step: number
  /** Operations that have begun and not ended. */
  readonly running: number
  /** Operations that ever began. */
  readonly begun: number
  /** Calls that wait at the gate. */
  readonly waiting: number
  /** The last of what began, ended and crashed. */
  readonly trace: readonly string[]
  /** That of a process that starts now. */
  gate(): Gate
  begin(name: string, operation: () => Promise<void>): void
  /** The operation that calls this goes on after the others that are at work, where a run goes by priorities. */
  defer(): void
  /** One waiting call happens, or several side by side. @throws what an operation threw */
  happen(): Promise<void>
  /** Until every operation has asked for its next call, or ended. @throws what an operation threw */
  settle(): Promise<void>
  /** A process that crashed asks nobody any more, and hears nothing. */
  crash(): void
  /** What a process answers whose calls wait at the gate; nothing else goes on meanwhile. */
  through<T>(answer: Promise<T>): Promise<T>
}

/** Of those that wait, the one of the highest priority goes on, where a run goes by priorities. */
interface Operation {
  priority: number
}

interface Call {
  run(): Promise<void>
  operation: Operation | undefined
}

const underWay = new AsyncLocalStorage<Operation>()

export function createSchedule(random: () => number, options: { byPriority: boolean; sideBySide: boolean }): Schedule {
  const { byPriority, sideBySide } = options
  const below = (limit: number) => Math.floor(random() * limit)
  const trace: string[] = []
  let pending: Call[] = []
  let generation = 0
  let running = 0
  let begun = 0
  let failure: unknown

  const note = (text: string): void => {
    trace.push(`${schedule.step}: ${text}`)
  }

  /** At random; or by priorities, which change now and then: one operation stands still for long while others go all their way. */
  function next(): Call | undefined {
    if (pending.length === 0) return undefined
    if (!byPriority || random() < 0.03) return pending.splice(below(pending.length), 1)[0]
    const priorityOf = (index: number) => pending[index]?.operation?.priority ?? 1
    const first = [...pending.keys()].reduce((best, index) => (priorityOf(index) > priorityOf(best) ? index : best))
    const [call] = pending.splice(first, 1)
    if (call?.operation !== undefined && random() < 0.06) call.operation.priority = random()
    return call
  }

  const schedule: Schedule = {
    step: 0,
    trace,
    get running() {
      return running
    },
    get begun() {
      return begun
    },
    get waiting() {
      return pending.length
    },

    gate() {
      const mine = generation
      return (call) =>
        new Promise<unknown>((resolve, reject) => {
          if (mine !== generation) return
          pending.push({
            operation: underWay.getStore(),
            run: () => Promise.resolve().then(call).then(resolve, reject),
          })
        })
    },

    begin(name, operation) {
      const mine = generation
      note(`${name} begins`)
      running++
      begun++
      underWay
        .run({ priority: random() }, operation)
        .catch((error: unknown) => {
          failure ??= error
        })
        .finally(() => {
          if (mine !== generation) return
          running--
          note(`${name} ends`)
        })
    },

    defer() {
      const operation = underWay.getStore()
      if (operation !== undefined) operation.priority = 0
    },

    async happen() {
      // Several at once meet in the database, where it takes several.
      const calls = [next()]
      while (sideBySide && random() < 0.5) calls.push(next())
      await Promise.all(calls.map((call) => call?.run()))
      await schedule.settle()
    },

    async settle() {
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (failure !== undefined) throw failure
    },

    crash() {
      generation++
      running = 0
      pending = []
      note('crash')
    },

    async through<T>(answer: Promise<T>): Promise<T> {
      let isOver = false
      const over = answer.finally(() => {
        isOver = true
      })
      over.catch(() => {})
      while (!isOver) {
        for (const call of pending.splice(0)) await call.run()
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
      return await over
    },
  }
  return schedule
}
