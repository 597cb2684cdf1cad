import { type Command, CommanderError } from 'commander'
import { apacheHtpasswdCommand, isApaches } from './apache-htpasswd.ts'
import { berthProgram } from './berth-program.ts'
import { verbOf } from './client/verbs.ts'
import { CommandError } from './error.ts'
import { berthWords, registryWords } from './original-words.ts'
import { serveCommand } from './serve.ts'

/**
 * Runs the command line. Resolves to the exit code: 0 done, 1 failed, 2 wrong usage; the client's verbs have more
 * (`client/failure.ts`).
 */
export async function run(args: readonly string[]): Promise<number> {
  const [first = '', second] = args
  const verb = verbOf(first, second) ?? (first === 'help' ? verbOf(second ?? '') : undefined)
  if (verb !== undefined) {
    const { runClient } = await import('./client/client.ts')
    return await runClient(verb, first === 'help' ? ['--help'] : args.slice(1))
  }
  // Not in the list of commands: what the scripts of `completion` ask.
  if (first === '__complete') {
    const [{ berthCommand }, { printCompletion }] = [await import('./commands.ts'), await import('./complete.ts')]
    return await printCompletion(berthCommand(), args.slice(1))
  }
  // Nor this: the image's own.
  if (first === 'container-account') return (await import('./container-account.ts')).containerAccount(args.slice(1))
  if (first === 'registry') {
    const { registryCommand } = await import('./registry.ts')
    return await perform(registryCommand(), () => registryWords(args.slice(1)))
  }
  if (first === 'htpasswd' && isApaches(args.slice(1))) {
    return await perform(apacheHtpasswdCommand(), () => args.slice(1))
  }
  // A server starts sooner without what only the other commands need.
  if (first === 'serve') return await perform(berthProgram().addCommand(serveCommand()), () => args)
  const { berthCommand } = await import('./commands.ts')
  return await perform(berthCommand(), () => {
    const words = berthWords(args)
    for (const note of words.notes) process.stderr.write(`note: ${note}\n`)
    return words.args
  })
}

async function perform(program: Command, words: () => readonly string[]): Promise<number> {
  for (const command of [program, ...everyCommand(program)]) command.exitOverride()
  try {
    await program.parseAsync([...words()], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const expected = error instanceof CommandError
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`${program.name()}: ${message}\n`)
    if (!expected && process.env.BERTH_DEBUG !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack}\n`)
    return expected ? error.exitCode : 1
  }
}

function everyCommand(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...everyCommand(child)])
}
