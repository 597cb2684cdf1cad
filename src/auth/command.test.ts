import { afterAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UnavailableError } from './authenticator.ts'
import { type CommandOptions, createCommand } from './command.ts'

const folder = await mkdtemp(join(tmpdir(), 'berth-command-'))
afterAll(() => rm(folder, { recursive: true }))

/** Milliseconds, where the time is not what is tested. */
const PATIENCE = 60_000

function shell(script: string, options: Partial<CommandOptions> = {}) {
  const warnings: [string, Record<string, unknown>][] = []
  const warn = (message: string, fields: Record<string, unknown>) => {
    warnings.push([message, fields])
  }
  const all = { command: 'sh', args: ['-c', script, 'sh'], timeoutMs: PATIENCE, maxChildren: 4, warn, ...options }
  return { ...createCommand(all), warnings }
}

/** The error of a question that must fail. */
async function failure(answer: Promise<unknown>): Promise<string> {
  return await answer.then(
    (value) => `answered ${JSON.stringify(value)}`,
    (error: unknown) => (error instanceof UnavailableError ? error.message : `another error: ${error}`),
  )
}

/** Waits for what another process does; half a minute at most. */
async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 3000 && !condition(); i++) await Bun.sleep(10)
  expect(condition()).toBe(true)
}

/** A process that ended is still there, as a zombie, until somebody has waited for it. */
function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Whether a file has the number of a process, wholly. */
function isPid(path: string): boolean {
  return existsSync(path) && /^\d+\n/.test(readFileSync(path, 'utf8'))
}

async function pidIn(path: string): Promise<number> {
  await until(() => isPid(path))
  return Number(readFileSync(path, 'utf8'))
}

describe('a command', () => {
  test.each([
    ['that ends well answers 0 and its output', 'printf yes', { exitCode: 0, stdout: 'yes' }],
    ['answers its exit code', 'echo no; exit 7', { exitCode: 7, stdout: 'no\n' }],
    ['ended by a signal answers -1, as in Go', 'kill -9 $$', { exitCode: -1, stdout: '' }],
    ['reads the question to its end', 'cat; echo .', { exitCode: 0, stdout: 'a "b" $c\n d.\n' }],
    ['need not read the question', 'exec <&-; exit 1', { exitCode: 1, stdout: '' }],
    ['has no argument but its own', 'echo $#', { exitCode: 0, stdout: '0\n' }],
  ])('%s', async (_, script, expected) => {
    expect(await shell(script).run('a "b" $c\n d')).toEqual(expected)
  })

  test('gets arguments as they are, for no shell reads them', async () => {
    const { run } = createCommand({
      command: 'printf',
      args: ['%s|', '$HOME', '*', 'a b'],
      timeoutMs: PATIENCE,
      maxChildren: 1,
    })
    expect(await run('')).toEqual({ exitCode: 0, stdout: '$HOME|*|a b|' })
  })

  test('has our environment', async () => {
    process.env.BERTH_COMMAND_TEST = 'inherited'
    try {
      expect(await shell('printf "$BERTH_COMMAND_TEST"').run('')).toEqual({ exitCode: 0, stdout: 'inherited' })
    } finally {
      delete process.env.BERTH_COMMAND_TEST
    }
  })

  test('takes a question longer than a pipe', async () => {
    expect(await shell('wc -c | tr -d " "').run('x'.repeat(300_000))).toEqual({ exitCode: 0, stdout: '300000\n' })
    expect(await shell('exit 3').run('x'.repeat(300_000))).toEqual({ exitCode: 3, stdout: '' })
  })

  test('that does not exist is unavailable, and says so without its path', async () => {
    const command = shell('', { command: '/nonexistent/program' })
    expect(await failure(command.run('question'))).toBe('the command cannot be started')
    expect(command.warnings).toEqual([
      ['the command cannot be started', { command: '/nonexistent/program', code: 'ENOENT' }],
    ])
    // The slot is free again.
    for (let i = 0; i < 10; i++) expect(await failure(command.run(''))).toBe('the command cannot be started')
  })

  test('that writes too much is unavailable', async () => {
    expect(await failure(shell('yes').run(''))).toBe('the command wrote more than 1 MiB')
    const most = await shell('head -c 1048576 /dev/zero').run('')
    expect(most.stdout.length).toBe(1_048_576)
  })

  test('leaves no descriptor open', async () => {
    const { run } = shell('echo out; echo err >&2')
    const open = () => readdirSync('/proc/self/fd').length
    await run('')
    const before = open()
    for (let i = 0; i < 20; i++) await run('')
    expect(open()).toBeLessThanOrEqual(before + 3)
  })
})

describe('what a command writes to its error output', () => {
  test('is told, without control characters, and no more than its end', async () => {
    const { run, warnings } = shell(`printf 'first\\n\\033[31mred\\007\\n' >&2; exit 2`)
    await run('')
    expect(warnings).toEqual([
      ['the command wrote to its error output', { command: 'sh', exitCode: 2, stderr: 'first [31mred' }],
    ])
    const long = shell(`head -c 100000 /dev/zero | tr '\\0' a >&2; printf 'é%.0s' $(seq 200) >&2`)
    await long.run('')
    expect(long.warnings[0]?.[1].stderr).toBe('é'.repeat(200))
  })

  test('is withheld when it shows the secret', async () => {
    const { run, warnings } = shell('cat >&2')
    await run('alice hunter2', 'hunter2')
    expect(warnings[0]?.[1].stderr).toBe('(withheld, for a password is in it)')
    expect(JSON.stringify(warnings)).not.toContain('hunter2')
  })

  test('is no answer, and nothing is told of a silent one', async () => {
    const { run, warnings } = shell('exit 1')
    await run('')
    expect(warnings).toEqual([])
  })
})

describe('the time of a command', () => {
  test('is limited, and with it ends all that it started', async () => {
    // A machine that is too busy to begin it in that time gives it more.
    for (let timeoutMs = 1_000, begun = false; !begun; timeoutMs *= 4) {
      const [head, child] = [join(folder, `head-${timeoutMs}`), join(folder, `child-${timeoutMs}`)]
      const command = shell(`sleep 1000 & echo $! > ${child}; echo $$ > ${head}; wait`, { timeoutMs })
      const answer = failure(command.run(''))
      let isOver = false
      void answer.then(() => {
        isOver = true
      })
      await until(() => isOver || isPid(head))
      begun = !isOver
      const pids = begun ? [head, child].map((path) => Number(readFileSync(path, 'utf8'))) : []
      expect(pids.map(alive)).toEqual(pids.map(() => true))
      if (!begun && timeoutMs > PATIENCE) throw new Error('it never begins')
      expect(await answer).toBe(`the command did not answer within ${timeoutMs} ms`)
      await until(() => !pids.some(alive))
    }
  })

  test('ends when it does, though something that it started keeps its output open', async () => {
    const child = join(folder, 'background')
    const { run } = shell(`sleep 1000 & echo $! > ${child}; echo yes`)
    expect(await run('')).toEqual({ exitCode: 0, stdout: 'yes\n' })
    const pid = await pidIn(child)
    await until(() => !alive(pid))
  })

  test.if(Bun.which('setsid') !== null)('ends also when that has left its process group', async () => {
    const { run } = shell(`setsid sleep 3 & echo yes`)
    expect(await run('')).toEqual({ exitCode: 0, stdout: 'yes\n' })
  })

  test('leaves time for output that comes just after its end', async () => {
    // What is left in the background speaks when its head is gone; a busy machine may take longer to let it than it usually has.
    const { run } = shell('(while kill -0 $$ 2>/dev/null; do sleep 0.01; done; echo late) & exit 0', {
      drainMs: PATIENCE,
    })
    expect(await run('')).toEqual({ exitCode: 0, stdout: 'late\n' })
  })
})

describe('children', () => {
  test('are never more than the limit, and all questions are answered', async () => {
    const runs = await mkdtemp(join(folder, 'runs-'))
    // The first wait until there are two of them.
    const script = `mkdir -p ${runs}/all; cd ${runs}/all; mkdir $$; cd ..; count() { ls all | wc -l; }
      until [ -e met ]; do [ $(count) -lt 2 ] || touch met; sleep 0.01; done; count; sleep 0.05; rmdir all/$$`
    const { run } = shell(script, { maxChildren: 2 })
    const answers = await Promise.all(Array.from({ length: 8 }, () => run('')))
    const together = answers.map(({ stdout }) => Number(stdout))
    expect(answers.every(({ exitCode }) => exitCode === 0)).toBe(true)
    expect(Math.max(...together)).toBe(2)
  })

  test('that are waited for are limited too, and closing ends and refuses all', async () => {
    const file = join(folder, 'closed')
    const { run, close } = shell(`echo $$ > ${file}; exec sleep 1000`, { maxChildren: 1, queueLimit: 1 })
    const [first, second] = [failure(run('')), failure(run(''))]
    expect(await failure(run(''))).toBe('too many questions wait for the command')
    const pid = await pidIn(file)
    await close()
    expect(alive(pid)).toBe(false)
    expect(await first).toBe('the command was stopped')
    expect(await second).toBe('the command is not asked any more')
    expect(await failure(run(''))).toBe('the command is not asked any more')
  })

  test('are not waited for longer than an answer may take', async () => {
    const file = join(folder, 'busy')
    const command = shell(`echo $$ >> ${file}; exec sleep 1000`, { maxChildren: 1, timeoutMs: 300 })
    const answers = [failure(command.run('')), failure(command.run('')), failure(command.run(''))]
    const texts = await Promise.all(answers)
    expect(texts[0]).toBe('the command did not answer within 300 ms')
    expect(texts).toContain('the command was busy for 300 ms')
    await command.close()
  })
})
