import { Command, Option } from 'commander'
import type { Report } from '../run-export.ts'
import { type AdminContext, type AdminFlags, ofProcess } from './control.ts'
import { createCopyBar } from './copy-bar.ts'
import { CommandError } from './error.ts'
import { formatReport, nextSteps, reportProblems } from './export-report.ts'
import { countText, type Terminal } from './progress.ts'
import { printableJson } from './table.ts'
import { collect } from './values.ts'

interface ExportFlags extends Pick<AdminFlags, 'data' | 'config'> {
  layout: 'distribution' | 'oci'
  inPlace?: true
  repository?: string[]
  verbatim?: true
  dryRun?: true
  output: 'table' | 'json'
}

export function exportCommand(context: AdminContext = ofProcess, terminal: Terminal = process.stderr): Command {
  return new Command('export')
    .description('write what the registry holds in a layout that other programs read')
    .argument('[dir]', 'folder to write to: a new one, an empty one, or that of an earlier export')
    .argument('[what...]', 'oci: REPOSITORY[:TAG] to export, without any all; distribution: a config.yml')
    .addOption(
      new Option('--layout <layout>', "distribution: registry:2's and 3's data directory; oci: OCI image layouts")
        .choices(['distribution', 'oci'])
        .makeOptionMandatory(),
    )
    .option('--in-place', "distribution: into Berth's own data directory, while no server runs on it")
    .option('--repository <glob>', 'only these (* between slashes, ** across them); may be repeated', collect)
    .option('--verbatim', "oci: leave manifests of Docker's media types as they are (skopeo does not read them)")
    .option('--dry-run', 'say what would be written, and write nothing')
    .addOption(new Option('--output <format>', 'the report').choices(['table', 'json']).default('table'))
    .option('--data <dir>', "the server's data directory")
    .option('--config <config.yml>', "the server's configuration file, which names the data directory")
    .action(async (first: string | undefined, others: string[], flags: ExportFlags) => {
      const { directory, config, images } = operands(first, others, flags)
      const { exportData, ExportError, parseSelection } = await import('../run-export.ts')
      let report: Report
      const bar = createCopyBar('export', terminal, context.now)
      try {
        const selection = usage(() => parseSelection(images, flags.repository ?? []))
        const found = context.configOf({
          ...(flags.data === undefined ? {} : { data: flags.data }),
          ...(config === undefined ? {} : { config }),
        })
        const control = await context.open(found)
        try {
          report = await exportData(control, found, {
            layout: flags.layout,
            directory,
            dryRun: flags.dryRun === true,
            verbatim: flags.verbatim === true,
            selection,
            now: context.now,
            progress: bar,
          })
        } finally {
          await control.close()
        }
      } catch (error) {
        bar.clear()
        if (error instanceof ExportError) throw new CommandError(error.message)
        throw error
      }
      bar.clear()
      if (flags.output === 'json') context.out(printableJson(JSON.stringify(report, undefined, 2)))
      else context.out(formatReport(report))
      context.error(reportProblems(report))
      if (report.problems > 0) throw new CommandError(problemsText(report))
      if (flags.output === 'table') context.error(nextSteps(report))
    })
}

/** What the operands mean depends on the layout. @throws CommandError for wrong usage */
function operands(first: string | undefined, others: readonly string[], flags: ExportFlags) {
  const { layout, inPlace, repository = [], verbatim } = flags
  const given = [first, ...others].filter((operand) => operand !== undefined)
  if (layout === 'oci') {
    if (inPlace) throw new CommandError('--in-place goes with --layout distribution alone', 2)
    const [directory, ...images] = given
    if (!directory) throw new CommandError('name the folder to export to: berth export DIR --layout oci', 2)
    return { directory, config: flags.config, images }
  }
  if (verbatim) throw new CommandError('--verbatim goes with --layout oci alone: distribution is always verbatim', 2)
  if (inPlace && repository.length > 0) {
    // The rest would look unreferenced to the original, whose garbage-collect deletes what is.
    throw new CommandError('--in-place exports everything: --repository cannot go with it', 2)
  }
  const [directory, configFile, ...more] = inPlace ? [undefined, ...given] : given
  if (!inPlace && !directory) {
    throw new CommandError('name the folder to export to (berth export DIR --layout distribution), or --in-place', 2)
  }
  if (more.length > 0) {
    throw new CommandError(`${more[0]}: only OCI layouts take names of images; --repository GLOB selects here`, 2)
  }
  if (configFile !== undefined && flags.config !== undefined) {
    throw new CommandError(`there are two configuration files, ${configFile} and ${flags.config}`, 2)
  }
  if (configFile !== undefined && !/\.(ya?ml|json)$/.test(configFile)) {
    throw new CommandError(`${configFile} is no config.yml; --repository GLOB selects repositories here`, 2)
  }
  return { directory, config: configFile ?? flags.config, images: [] }
}

function usage<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof Error ? new CommandError(error.message, 2) : error
  }
}

function problemsText({ problems, dryRun }: Report): string {
  const what = problems === 1 ? 'one thing' : `${countText(problems)} things`
  return dryRun
    ? `${what} could not be exported (see above)`
    : `${what} could not be exported (see above); the rest was`
}
