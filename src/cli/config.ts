import { existsSync } from 'node:fs'
import { Command, Option } from 'commander'
import { kindOfNamed } from '../config/file-kind.ts'
import { missingFiles } from '../config/files.ts'
import { type LoadInput, type LoadResult, loadConfig } from '../config/load.ts'
import { effectiveValues, printEffective } from '../config/print.ts'
import { formatProblems } from '../config/problem.ts'
import { choosePath } from './config-path.ts'
import { CommandError } from './error.ts'
import { printable, printableJson, shellWord } from './table.ts'

type Format = 'text' | 'json'

interface ConfigOptions {
  format?: Format
  output?: Format
  authConfig?: string
  compat?: 'strict'
  addr?: string
  data?: string
}

/** What the command needs of the process, as arguments for tests. */
export interface ConfigCommandContext {
  env: LoadInput['env']
  out(text: string): void
  error(text: string): void
  setExitCode(code: number): void
}

const ofProcess: ConfigCommandContext = {
  env: process.env,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  setExitCode: (code) => {
    process.exitCode = code
  },
}

/** `berth config check` and `berth config print`: both exit with 1 when the configuration would be refused. */
export function configCommand(context: ConfigCommandContext = ofProcess): Command {
  const command = new Command('config').description('check or show the configuration that serve would use')

  command.on('command:*', ([word = '']: string[]) => {
    const name = shellWord(printable(word))
    throw new CommandError(`berth config has no command ${printable(JSON.stringify(word))}`, 2, {
      hint: existsSync(word)
        ? `berth config print ${name}`
        : `the configuration of an image: berth inspect --config ${name}`,
    })
  })

  configOptions(command.command('check').description('report everything that is wrong, with its line')).action(
    (file: string | undefined, options: ConfigOptions) => {
      mustBeRegistrys('check', file)
      const result = withFiles(load(file, options, context.env))
      if (isJson(options)) {
        const { problems, warnings } = result
        context.out(jsonOf({ usable: problems.length === 0, problems, warnings }))
        if (problems.length > 0) context.setExitCode(1)
        return
      }
      const found = formatProblems(result.problems, result.warnings)
      if (result.problems.length > 0) {
        context.error(found)
        context.setExitCode(1)
        return
      }
      context.out(`${found}The configuration can be used${summary(result)}.\n`)
    },
  )

  command
    .command('schema')
    .description('print the JSON Schema of config.yml, for editors and checks')
    .option('--auth', "of the token server's auth_config.yml")
    .addOption(new Option('--markdown', 'every key as a document, in place of the schema').conflicts('auth'))
    .action(async ({ auth, markdown }: { auth?: true; markdown?: true }) => {
      if (markdown === true) {
        const { referenceMarkdown } = await import('../config/reference.ts')
        context.out(referenceMarkdown())
        return
      }
      const { authConfigJsonSchema, configJsonSchema } = await import('../config/json-schema.ts')
      const schema = auth === true ? authConfigJsonSchema() : configJsonSchema()
      context.out(`${JSON.stringify(schema, undefined, 2)}\n`)
    })

  configOptions(
    command.command('print').description('show each value and where it came from; secrets are masked'),
  ).action((file: string | undefined, options: ConfigOptions) => {
    mustBeRegistrys('print', file)
    const result = load(file, options, context.env)
    context.error(formatProblems(result.problems, result.warnings))
    const { effective } = result
    context.out(isJson(options) ? jsonOf({ values: effectiveValues(effective) }) : printEffective(effective))
    if (result.problems.length > 0) context.setExitCode(1)
  })
  return command
}

function configOptions(command: Command): Command {
  return command
    .argument('[file]', "the registry's config.yml; REGISTRY_* variables are read too")
    .option('--auth-config <file>', "the token server's auth_config.yml")
    .option('--addr <host:port>', 'address to listen on')
    .option('--data <dir>', 'data directory')
    .addOption(new Option('--compat <mode>', 'refuse unknown keys instead of warning').choices(['strict']))
    .addOption(new Option('--format <format>', 'text, or json for programs').choices(['text', 'json']))
    .addOption(new Option('--output <format>', 'another name of --format').choices(['text', 'json']).hideHelp())
}

function isJson({ format, output }: ConfigOptions): boolean {
  return (format ?? output) === 'json'
}

function jsonOf(value: unknown): string {
  return printableJson(JSON.stringify(value, undefined, 2))
}

function load(file: string | undefined, options: ConfigOptions, env: LoadInput['env']): LoadResult {
  const { addr, data, authConfig, compat } = options
  // As serve chooses.
  const { path } = choosePath(file, env)
  return loadConfig({ file: path, authFile: authConfig, env, flags: { addr, data }, compat })
}

/** The token server's file in its place would be a fault for each of its keys. @throws CommandError */
function mustBeRegistrys(verb: 'check' | 'print', file: string | undefined): void {
  if (file === undefined || kindOfNamed(file) !== 'token server') return
  const name = printable(file)
  throw new CommandError(`${name} is the token server's configuration (docker_auth's format), not the registry's`, 2, {
    hint: `berth config ${verb} --auth-config ${shellWord(name)}`,
  })
}

/** What stands in the configuration may still name a file that is not there. */
function withFiles(result: LoadResult): LoadResult {
  if (result.config === undefined) return result
  const missing = missingFiles(result.config)
  const problems = [...result.problems, ...missing.problems]
  return { ...result, problems, warnings: [...result.warnings, ...missing.warnings] }
}

function summary({ warnings }: LoadResult): string {
  if (warnings.length === 0) return ''
  return ` (${warnings.length} ${warnings.length === 1 ? 'warning' : 'warnings'})`
}
