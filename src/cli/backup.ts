import { Command, Option } from 'commander'
import type { BackupReport } from '../run-backup.ts'
import { amountText, missingLines } from './backup-report.ts'
import { type AdminContext, type AdminFlags, ofProcess } from './control.ts'
import { createCopyBar } from './copy-bar.ts'
import { CommandError } from './error.ts'
import { bytesText, countText, type Terminal } from './progress.ts'
import { formatTable, printableJson } from './table.ts'

type BackupFlags = Pick<AdminFlags, 'data' | 'config'> & { format: 'table' | 'json'; replace?: true }

export function backupCommand(context: AdminContext = ofProcess, terminal: Terminal = process.stderr): Command {
  return new Command('backup')
    .description('copy everything that the registry holds into a folder, while it serves')
    .argument('<dir>', 'a folder that is new or empty, or that of the backup before, to which what is new is added')
    .option('--data <dir>', "the server's data directory")
    .option('--config <config.yml>', "the server's configuration file, which names the data directory")
    .option('--replace', 'even where the folder has the backup of another registry, which goes then')
    .addOption(new Option('--format <format>', 'the report').choices(['table', 'json']).default('table'))
    .action(async (directory: string, flags: BackupFlags) => {
      if (directory === '') throw new CommandError('name the folder to back up to: berth backup DIR', 2)
      const { backupData, BackupError } = await import('../run-backup.ts')
      const { format, replace = false, ...given } = flags
      const found = context.configOf(given)
      const bar = createCopyBar('backup', terminal, context.now)
      let report: BackupReport
      const control = await context.open(found)
      try {
        report = await backupData(control, found, { directory, replace, progress: bar })
      } catch (error) {
        bar.clear()
        throw error instanceof BackupError ? new CommandError(error.message) : error
      } finally {
        await control.close()
      }
      bar.clear()
      context.out(format === 'json' ? printableJson(JSON.stringify(report, undefined, 2)) : formatReport(report))
      context.error(missingLines(report.missing))
      if (report.missing.length > 0) {
        throw new CommandError(
          `${countText(report.missing.length)} of the blobs are not whole in the registry itself (see above); all else is backed up`,
        )
      }
      if (format === 'table') {
        context.error(`Backed up as of ${report.at}. Restore it with: berth restore ${directory} --data NEWDIR\n`)
      }
    })
}

function formatReport(report: BackupReport): string {
  const { blobs, bytes, database, linked, copied, present, removed } = report
  return formatTable([
    ['BLOBS', 'BYTES', 'DATABASE', 'LINKED', 'COPIED', 'THERE ALREADY', 'REMOVED'],
    [
      ...[countText(blobs), bytesText(bytes), bytesText(database)],
      ...[linked, copied, present, removed].map(amountText),
    ],
  ])
}
