import { Command } from 'commander'
import { VERSION } from './version.ts'

/** `berth`, without its commands. */
export function berthProgram(): Command {
  return new Command('berth')
    .description('A private container registry with its own token server, in one program')
    .version(VERSION, '-v, --version')
}
