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
    .commandsGroup('Copies and checks of everything:')
    .addCommand(backupCommand())
    .addCommand(restoreCommand())
    .addCommand(verifyCommand())
    .addCommand(exportCommand())
    .commandsGroup('Images, in any registry:')
  // For the list of commands alone: `run` has called them before.
  for (const [name, { summary }] of Object.entries(VERBS)) {
    if (name === 'tag') berth.addCommand(tagCommand())
    else berth.command(name).description(summary)
  }
  return berth
    .commandsGroup('Else:')
    .addCommand(apiCommand())
    .addCommand(completionCommand())
    .addCommand(versionCommand())
}
