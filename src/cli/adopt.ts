import { Command, Option } from 'commander'
import type { Adoption, AdoptionProgress } from '../run-adopt.ts'
import { closingLines, reportText } from './adopt-report.ts'
import { configOf } from './load.ts'
import { countText, createProgressBar } from './progress.ts'
import { printable, printableJson } from './table.ts'

interface AdoptFlags {
  dryRun?: boolean
  verify?: boolean
  output: 'table' | 'json'
  report?: string
  config?: string
}

export function adoptCommand(): Command {
  return new Command('adopt')
    .description(
      'take over the images that registry:2 left in a data directory, in place; berth serve does it by itself',
    )
    .argument('<dir>', 'the data directory: storage.filesystem.rootdirectory of registry:2')
    .option('--dry-run', 'only report what is there and what would be done; change nothing')
    .option('--verify', 'hash every blob, and leave out those whose bytes are not what their name says')
    .option('--report <file>', 'write every fault there, a line of JSON each (without it, into the data directory)')
    .option('--config <file>', "the server's configuration, where it sets metadata.path or validation")
    .addOption(new Option('--output <format>', 'how the report is printed').choices(['table', 'json']).default('table'))
    .action(async (directory: string, flags: AdoptFlags) => {
      const { runAdoption } = await import('../run-adopt.ts')
      const config = configOf(flags.config, { data: directory })
      const bar = createAdoptionBar()
      let adoption: Adoption | undefined
      try {
        adoption = await runAdoption(config, {
          dryRun: flags.dryRun === true,
          verify: flags.verify === true,
          report: flags.report,
          onProgress: bar.show,
        })
      } finally {
        bar.clear()
      }
      if (flags.output === 'json') process.stdout.write(printableJson(JSON.stringify(adoption ?? null, undefined, 2)))
      else if (adoption !== undefined) process.stdout.write(reportText(adoption))
      const closing =
        adoption === undefined
          ? [`${directory}: registry:2 left nothing there that is not adopted`]
          : closingLines(adoption)
      process.stderr.write(`${closing.map(printable).join('\n')}\n`)
    })
}

const PHASES: Record<AdoptionProgress['phase'], string> = {
  looking: 'looking at what registry:2 left',
  blobs: 'adopting blobs',
  repositories: 'adopting repositories',
  finishing: 'finishing',
}

/** Draws on standard error, where that is a terminal. */
export function createAdoptionBar(): { show(progress: AdoptionProgress): void; clear(): void } {
  const bar = createProgressBar('adoption', process.stderr, () => performance.now())
  return {
    show({ phase, done, total }) {
      const text = total === 0 ? countText(done) : `${countText(done)} of ${countText(total)}`
      bar.show(done, total === 0 ? undefined : total, `${PHASES[phase]}: ${text}`)
    },
    clear: bar.clear,
  }
}
