import { Command, Option } from 'commander'
import type { RestoreReport } from '../run-backup.ts'
import { amountText, missingLines } from './backup-report.ts'
import { type AdminContext, ofProcess } from './control.ts'
import { createCopyBar } from './copy-bar.ts'
import { CommandError } from './error.ts'
import { configOf } from './load.ts'
import { bytesText, countText, type Terminal } from './progress.ts'
import { formatTable, printableJson } from './table.ts'

interface RestoreFlags {
  data?: string
  config?: string
  verify?: true
  incomplete?: true
  format: 'table' | 'json'
}

export function restoreCommand(
  context: Pick<AdminContext, 'out' | 'error' | 'now'> = ofProcess,
  terminal: Terminal = process.stderr,
): Command {
  return new Command('restore')
    .description('make a data directory of a backup; berth serve then serves all of it')
    .argument('<dir>', 'the folder of berth backup')
    .option('--data <newdir>', 'the data directory to make: a folder that is empty, or not there yet')
    .option('--config <config.yml>', "the server's configuration file, where that names the data directory")
    .option('--verify', 'hash every blob of the backup before anything is written')
    .option('--incomplete', 'restore the rest when some blobs of the backup are damaged')
    .addOption(new Option('--format <format>', 'the report').choices(['table', 'json']).default('table'))
    .action(async (directory: string, flags: RestoreFlags) => {
      if (directory === '') throw new CommandError('name the backup: berth restore DIR --data NEWDIR', 2)
      if (!flags.data && flags.config === undefined) {
        throw new CommandError('name the data directory to make: berth restore DIR --data NEWDIR', 2)
      }
      const { restoreData, BackupError } = await import('../run-backup.ts')
      const config = configOf(flags.config, flags.data === undefined ? {} : { data: flags.data })
      const bar = createCopyBar('restore', terminal, context.now)
      let report: RestoreReport
      try {
        report = await restoreData(config, {
          from: directory,
          verify: flags.verify === true,
          incomplete: flags.incomplete === true,
          progress: bar,
        })
      } catch (error) {
        bar.clear()
        throw error instanceof BackupError ? new CommandError(error.message) : error
      }
      bar.clear()
      context.out(flags.format === 'json' ? printableJson(JSON.stringify(report, undefined, 2)) : formatReport(report))
      context.error(missingLines(report.missing))
      if (report.missing.length > 0) {
        throw new CommandError(
          `${countText(report.missing.length)} of the blobs are not in the backup (see above); all else is restored, and a push heals each`,
        )
      }
      if (flags.format === 'table') {
        context.error(`Restored as of ${report.at}. Serve it with: berth serve --data ${report.data}\n`)
      }
    })
}

function formatReport({ blobs, bytes, linked, copied, present }: RestoreReport): string {
  return formatTable([
    ['BLOBS', 'BYTES', 'LINKED', 'COPIED', 'THERE ALREADY'],
    [countText(blobs), bytesText(bytes), ...[linked, copied, present].map(amountText)],
  ])
}
