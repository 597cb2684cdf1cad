import { Command } from 'commander'
import { version } from '../../package.json' with { type: 'json' }

export const VERSION = version

export function versionCommand(): Command {
  return new Command('version').description('print the version').action(() => {
    process.stdout.write(`berth ${VERSION} (bun ${Bun.version}, ${process.platform}-${process.arch})\n`)
  })
}
