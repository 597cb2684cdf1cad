import { existsSync } from 'node:fs'
import { type Command, CommanderError } from 'commander'
import { apacheHtpasswdCommand, isApaches } from './apache-htpasswd.ts'
import { berthProgram } from './berth-program.ts'
import { verbOf } from './client/verbs.ts'
import { CommandError } from './error.ts'
import { phraseOf } from './habits.ts'
import { HELP_STYLE } from './help-style.ts'
import { berthWords, registryWords } from './original-words.ts'
import { serveCommand } from './serve.ts'
import { say, toleratePipes } from './standard-streams.ts'
import { wrongUsage } from './wrong-usage.ts'

/**
 * Runs the command line. Resolves to the exit code: 0 done, 1 failed, 2 wrong usage; the client's verbs have more
 * (`client/failure.ts`).
 */
export async function run(args: readonly string[]): Promise<number> {
  const phrase = phraseOf(args)
  if (phrase !== undefined) return await run(phrase)
  const [first = '', second] = args
  const isFile = first === 'auth' && second !== undefined && existsSync(second)
  const verb = (isFile ? undefined : verbOf(first, second)) ?? (first === 'help' ? verbOf(second ?? '') : undefined)
  if (verb !== undefined) {
    const { runClient } = await import('./client/client.ts')
    return await runClient(verb, first === 'help' ? ['--help'] : args.slice(1))
  }
  if (first === 'config' && second !== undefined && namesImage(second)) {
    const { runClient } = await import('./client/client.ts')
    return await runClient('inspect', ['--config', ...args.slice(1)])
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
  const berth = berthCommand()
  return await perform(berth, () => {
    const words = berthWords(args, (word) => isCommand(berth, word))
    for (const note of words.notes) process.stderr.write(`note: ${note}\n`)
    return words.args
  })
}

/** Not a command of `config`, nor a configuration file, whether it is there or misspelt: no name of a file goes to a registry. */
function namesImage(word: string): boolean {
  return /^[^-./][^/]*[/:@]/.test(word) && !/\.(ya?ml|json)$/i.test(word) && !existsSync(word)
}

/** A verb, or a command by any of its names, where no file is called so. */
function isCommand(berth: Command, word: string): boolean {
  const isWord =
    verbOf(word) !== undefined || berth.commands.some((one) => [one.name(), ...one.aliases()].includes(word))
  return isWord && !existsSync(word)
}

async function perform(program: Command, words: () => readonly string[]): Promise<number> {
  settle(program, program.name())
  try {
    await program.parseAsync([...words()], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const expected = error instanceof CommandError
    const message = error instanceof Error ? error.message : String(error)
    say(`${program.name()}: ${message}\n`)
    if (expected && error.hint !== undefined) say(`Hint: ${error.hint}\n`)
    if (!expected && process.env.BERTH_DEBUG !== undefined && error instanceof Error) say(`${error.stack}\n`)
    return expected ? error.exitCode : 1
  }
}

/** How a command, and those of it, speak of wrong usage: as of everything else that goes wrong. */
function settle(command: Command, path: string): void {
  command
    .exitOverride()
    .configureHelp(HELP_STYLE)
    .configureOutput({
      writeOut(printed) {
        toleratePipes()
        process.stdout.write(printed)
      },
      writeErr: say,
      outputError: (text, write) => write(wrongUsage(path.split(' ', 1)[0] ?? path, path, command, text)),
    })
  for (const child of command.commands) settle(child, `${path} ${child.name()}`)
}
