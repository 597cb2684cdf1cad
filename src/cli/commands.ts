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

/** With all commands. */
export function berthCommand(): Command {
  const berth = berthProgram()
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
    .addCommand(completionCommand())
    .addCommand(versionCommand())
  // For the list of commands alone: `run` has called them before.
  for (const [name, { summary }] of Object.entries(VERBS)) {
    if (name !== 'tag') berth.command(name).description(summary)
  }
  return berth
}
