import { Command, CommanderError } from 'commander'
import { aclCommand } from './acl.ts'
import { auditCommand } from './audit.ts'
import { authCommand } from './auth.ts'
import { configCommand } from './config.ts'
import { doctorCommand } from './doctor.ts'
import { CommandError } from './error.ts'
import { groupCommand } from './group.ts'
import { keyCommand } from './key.ts'
import { robotCommand } from './robot.ts'
import { serveCommand } from './serve.ts'
import { tokenCommand } from './token.ts'
import { userCommand } from './user.ts'
import { VERSION, versionCommand } from './version.ts'

/** Runs the command line. Resolves to the exit code: 0 done, 1 failed, 2 wrong usage. */
export async function run(args: readonly string[]): Promise<number> {
  const program = new Command('berth')
    .description('A private container registry with its own token server, in one program')
    .version(VERSION, '-v, --version')
    .exitOverride()
    .addCommand(serveCommand())
    .addCommand(authCommand())
    .addCommand(userCommand())
    .addCommand(groupCommand())
    .addCommand(robotCommand())
    .addCommand(tokenCommand())
    .addCommand(aclCommand())
    .addCommand(auditCommand())
    .addCommand(keyCommand())
    .addCommand(configCommand())
    .addCommand(doctorCommand())
    .addCommand(versionCommand())
  for (const command of everyCommand(program)) command.exitOverride()
  try {
    await program.parseAsync([...args], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const expected = error instanceof CommandError
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(`berth: ${message}\n`)
    if (!expected && process.env.BERTH_DEBUG !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack}\n`)
    return expected ? error.exitCode : 1
  }
}

function everyCommand(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...everyCommand(child)])
}
