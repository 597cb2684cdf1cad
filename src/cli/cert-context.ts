import type { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { readSmallFile } from '../files/read-small-file.ts'
import { CommandError } from './error.ts'
import { type ConfigFlags, configOf } from './load.ts'

/** What the commands need of the process, as arguments for tests. */
export interface CertContext {
  configOf(file: string | undefined, flags: ConfigFlags): Config
  out(text: string): void
  error(text: string): void
}

export const ofProcess: CertContext = {
  configOf,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
}

export interface CertFlags extends ConfigFlags {
  config?: string
}

/** Of every command that needs to know the server. */
export function serverOptions(command: Command): Command {
  return command
    .option('--data <dir>', "the server's data directory")
    .option('--config <config.yml>', "the server's configuration file")
    .option('--addr <host:port>', "the server's address, where that is a flag of its own")
}

export const NO_AUTHORITY =
  "there is no authority of Berth's own; berth serve --tls auto makes one (--data names the data directory)"

/** Bytes. */
const LONGEST_PEM = 1024 * 1024

/** A file of somebody else's authority. @throws CommandError */
export function readPem(path: string): string {
  try {
    return readSmallFile(path, LONGEST_PEM).toString('utf8')
  } catch (error) {
    throw new CommandError(`cannot read ${path}: ${error instanceof Error ? error.message : error}`)
  }
}
