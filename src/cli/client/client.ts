import { type Command, CommanderError } from 'commander'
import { HELP_STYLE } from '../help-style.ts'
import { wrongUsage } from '../wrong-usage.ts'
import { type ClientContext, ClosedPipe, contextOfProcess } from './context.ts'
import { Differs, describeFailure, EXIT, withHubHint } from './failure.ts'
import { VERB_ALIASES, VERBS } from './verbs.ts'

/** Milliseconds in which two signals are one. */
const ONE_SIGNAL = 500

/** Runs a verb of the client for the process; resolves to the exit code. */
export async function runClient(name: string, args: readonly string[]): Promise<number> {
  const interrupt = new AbortController()
  let interruptedAt: number | undefined
  const onSignal = () => {
    // What was begun is taken back first; whoever asks twice does not want to wait for that. timeout(1) means it once, and sends two.
    if (interruptedAt !== undefined && performance.now() - interruptedAt > ONE_SIGNAL) process.exit(EXIT.interrupted)
    interruptedAt ??= performance.now()
    interrupt.abort(new Error('interrupted'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    const code = await performVerb(name, args, contextOfProcess(interrupt.signal))
    // Standard input that is still waited for would keep the process.
    if (interruptedAt !== undefined) process.stderr.write('', () => process.exit(code))
    return code
  } finally {
    process.off('SIGINT', onSignal)
    process.off('SIGTERM', onSignal)
  }
}

/** As `runClient`, with whatever stands for the process. */
export async function performVerb(name: string, args: readonly string[], context: ClientContext): Promise<number> {
  const verb = VERBS[name]
  if (verb === undefined) throw new Error(`there is no verb ${name}`)
  const command = (await verb.load())(context).summary(verb.summary)
  if (command.description() === '') command.description(verb.summary)
  const examples = (verb.examples ?? []).map((line) => `\n  $ berth ${line}`)
  if (examples.length > 0) command.addHelpText('after', `\nExamples:${examples.join('')}`)
  for (const [alias, of] of Object.entries(VERB_ALIASES)) if (of === name) command.alias(alias)
  try {
    prepare(command, context)
    await command.parseAsync([...args], { from: 'user' })
    return EXIT.done
  } catch (error) {
    if (error instanceof ClosedPipe) return EXIT.done
    if (error instanceof Differs) return EXIT.failed
    if (context.signal.aborted) {
      context.error(`berth: interrupted${verb.whenInterrupted === undefined ? '' : `; ${verb.whenInterrupted}`}\n`)
      return EXIT.interrupted
    }
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
    const { text, code } = describeFailure(withHubHint(error, args))
    context.error(text)
    if (context.env.BERTH_DEBUG !== undefined && error instanceof Error) context.error(`${error.stack}\n`)
    return code
  }
}

function prepare(command: Command, context: ClientContext): void {
  command.name(`berth ${command.name()}`)
  settle(command, command.name(), context)
}

/** The command, and those of it. */
function settle(command: Command, name: string, context: ClientContext): void {
  command
    .exitOverride()
    .configureHelp(HELP_STYLE)
    .configureOutput({
      writeOut: (text) => context.out(text),
      writeErr: (text) => context.error(text),
      outputError: (text, write) => write(wrongUsage('berth', name, command, text)),
    })
  for (const child of command.commands) settle(child, `${name} ${child.name()}`, context)
}
