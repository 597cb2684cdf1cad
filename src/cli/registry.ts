import { Command } from 'commander'
import { choosePath, DEFAULT_PATHS, defaultPath } from './config-path.ts'
import { CommandError } from './error.ts'
import { garbageCollectCommand } from './garbage-collect.ts'
import { serve } from './serve.ts'
import { VERSION } from './version.ts'

/** `registry`: the original's program, with its commands, flags and meaning; `bin/registry` calls it by that name. */
export function registryCommand(): Command {
  return new Command('registry')
    .description("distribution's program, by its own commands and flags")
    .version(`registry berth v${VERSION}`, '-v, --version', 'show the version and exit')
    .helpCommand(true)
    .argument('[command]')
    .usage('[flags] [command]')
    .addCommand(serveCommand())
    .addCommand(garbageCollectCommand(pathOf))
    .action((name: string | undefined, _, command: Command) => {
      if (name !== undefined) throw new CommandError(`unknown command ${JSON.stringify(name)} for "registry"`, 2)
      process.stderr.write(command.helpInformation())
    })
}

function serveCommand(): Command {
  return new Command('serve')
    .description('`serve` stores and distributes Docker images')
    .argument('[config]', 'configuration file')
    .addHelpText('after', PLACES)
    .action(async (argument: string | undefined) => {
      await serve(pathOf(argument), {})
    })
}

const PLACES = `
Without an argument REGISTRY_CONFIGURATION_PATH names the file; without that, it is the first of
${DEFAULT_PATHS.map((path) => `  ${path}\n`).join('')}that is there.
`

/** @throws CommandError where the original has no configuration either */
function pathOf(argument: string | undefined): string {
  const path = choosePath(argument, process.env).path ?? defaultPath()
  if (path !== undefined) return path
  throw new CommandError(
    'configuration error: configuration path unspecified\n' +
      'Name a config.yml, set REGISTRY_CONFIGURATION_PATH, or run "berth serve", which needs none.',
  )
}
