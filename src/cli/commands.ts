import type { Command } from 'commander'
import { aclCommand } from './acl.ts'
import { adoptCommand } from './adopt.ts'
import { apiCommand } from './api.ts'
import { auditCommand } from './audit.ts'
import { authCommand } from './auth.ts'
import { backupCommand } from './backup.ts'
import { berthProgram } from './berth-program.ts'
import { certCommand } from './cert.ts'
import { VERBS } from './client/verbs.ts'
import { completionCommand } from './completion.ts'
import { configCommand } from './config.ts'
import { exportCommand } from './export.ts'
import { gcCommand } from './gc.ts'
import { groupCommand } from './group.ts'
import { healthcheckCommand } from './healthcheck.ts'
import { htpasswdCommand } from './htpasswd.ts'
import { immutableCommand } from './immutable.ts'
import { keyCommand } from './key.ts'
import { notifyCommand } from './notify.ts'
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
import { versionCommand } from './version.ts'

/** With all commands, in the order and under the headings of its help. */
export function berthCommand(): Command {
  const berth = berthProgram()
    .commandsGroup('The server:')
    .addCommand(serveCommand())
    .addCommand(authCommand())
    .addCommand(registryCommand())
    .addCommand(adoptCommand())
    .addCommand(configCommand())
    .addCommand(certCommand())
    .addCommand(notifyCommand())
    .addCommand(healthcheckCommand())
    .commandsGroup('Who may do what:')
    .addCommand(userCommand())
    .addCommand(groupCommand())
    .addCommand(robotCommand())
    .addCommand(tokenCommand())
    .addCommand(aclCommand())
    .addCommand(auditCommand())
    .addCommand(keyCommand())
    .addCommand(htpasswdCommand())
    .commandsGroup('Space and policies:')
    .addCommand(gcCommand())
    .addCommand(repositoryCommand())
    .addCommand(retentionCommand())
    .addCommand(pruneCommand())
    .addCommand(trashCommand())
    .addCommand(immutableCommand())
    .addCommand(quotaCommand())
    .commandsGroup('Backups and checks:')
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(verifyCommand())
    .addCommand(exportCommand())
    .commandsGroup('Images, in any registry:')
  // For the list of commands alone: `run` has called them before.
  for (const [name, { summary }] of Object.entries(VERBS)) {
    if (name === 'tag') berth.addCommand(tagCommand())
    else if (name !== 'auth') berth.command(name).description(summary)
  }
  berth
    .commandsGroup('Other:')
    .addCommand(apiCommand())
    .addCommand(completionCommand())
    .addCommand(versionCommand())
    .helpCommand('help [command]', 'show what a command does, with its flags')
    .addHelpText('after', '\nberth COMMAND --help shows what a command does, with its flags.')
  for (const command of berth.commands) command.summary(SUMMARIES[command.name()] ?? command.description())
  return berth
}

/** For the list of commands, where a description has more than a line. */
const SUMMARIES: Readonly<Record<string, string>> = {
  serve: 'run the registry, and the token server',
  adopt: 'take over the data directory of a registry:2, in place',
  robot: 'manage accounts of programs: own rights, tokens, no password',
  acl: "manage Berth's own rules, and test any: the first match decides",
  prune: 'delete tags by a rule, once: shows what would go without --yes',
  backup: 'copy all that the registry holds into a folder, while it serves',
  restore: 'make a data directory of a backup, for berth serve',
  verify: 'check that all that the registry keeps is there and whole',
  export: 'write what the registry holds as a layout for other programs',
  tag: 'give an image further tags; see and restore where tags pointed',
}
