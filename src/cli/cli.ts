import { Command, CommanderError } from 'commander'
import { aclCommand } from './acl.ts'
import { adoptCommand } from './adopt.ts'
import { apacheHtpasswdCommand, isApaches } from './apache-htpasswd.ts'
import { apiCommand } from './api.ts'
import { auditCommand } from './audit.ts'
import { authCommand } from './auth.ts'
import { backupCommand } from './backup.ts'
import { certCommand } from './cert.ts'
import { VERBS, verbOf } from './client/verbs.ts'
import { configCommand } from './config.ts'
import { CommandError } from './error.ts'
import { exportCommand } from './export.ts'
import { gcCommand } from './gc.ts'
import { groupCommand } from './group.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { htpasswdCommand } from './htpasswd.ts'
import { immutableCommand } from './immutable.ts'
import { keyCommand } from './key.ts'
import { notifyCommand } from './notify.ts'
import { berthWords, registryWords } from './original-words.ts'
import { pruneCommand } from './prune.ts'
import { quotaCommand } from './quota.ts'
import { registryCommand } from './registry.ts'
import { repositoryCommand } from './repository.ts'
import { restoreCommand } from './restore.ts'
import { retentionCommand } from './retention.ts'
import { robotCommand } from './robot.ts'
import { serveCommand } from './serve.ts'
import { tagCommand } from './tag.ts'
import { tokenCommand } from './token.ts'
import { trashCommand } from './trash.ts'
import { userCommand } from './user.ts'
import { verifyCommand } from './verify.ts'
import { VERSION, versionCommand } from './version.ts'

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
  // Not in the list of commands: the image's own.
  if (first === 'container-account') return (await import('./container-account.ts')).containerAccount(args.slice(1))
  if (first === 'registry') return await perform(registryCommand(), () => registryWords(args.slice(1)))
  if (first === 'htpasswd' && isApaches(args.slice(1))) {
    return await perform(apacheHtpasswdCommand(), () => args.slice(1))
  }
  return await perform(berthCommand(), () => {
    const words = berthWords(args)
    for (const note of words.notes) process.stderr.write(`note: ${note}\n`)
    return words.args
  })
}

export function berthCommand(): Command {
  const berth = new Command('berth')
    .description('A private container registry with its own token server, in one program')
    .version(VERSION, '-v, --version')
    .addCommand(serveCommand())
    .addCommand(authCommand())
    .addCommand(registryCommand())
    .addCommand(adoptCommand())
    .addCommand(userCommand())
    .addCommand(groupCommand())
    .addCommand(robotCommand())
    .addCommand(tokenCommand())
    .addCommand(aclCommand())
    .addCommand(auditCommand())
    .addCommand(certCommand())
    .addCommand(gcCommand())
    .addCommand(repositoryCommand())
    .addCommand(retentionCommand())
    .addCommand(pruneCommand())
    .addCommand(tagCommand())
    .addCommand(trashCommand())
    .addCommand(immutableCommand())
    .addCommand(quotaCommand())
    .addCommand(keyCommand())
    .addCommand(htpasswdCommand())
    .addCommand(notifyCommand())
    .addCommand(exportCommand())
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(verifyCommand())
    .addCommand(healthcheckCommand())
    .addCommand(configCommand())
    .addCommand(apiCommand())
    .addCommand(versionCommand())
  // For the list of commands alone: `run` has called them before.
  for (const [name, { summary }] of Object.entries(VERBS)) {
    if (name !== 'tag') berth.command(name).description(summary)
  }
  return berth
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
