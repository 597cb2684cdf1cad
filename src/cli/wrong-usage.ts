import type { Command } from 'commander'
import { hintFor } from './habits.ts'

/** commander's error about a command line, as all other errors look. `path`: the command, as it is called. */
export function wrongUsage(program: string, path: string, command: Command, text: string): string {
  const message = text.replace(/^error: /, '').replace(/\n\(/, ' (')
  const [, word = ''] = /^unknown command '([^']*)'/.exec(message) ?? []
  return `${program}: ${message}Hint: ${hintFor(word) ?? usageOf(message, path, command)}\n`
}

/** Whoever left out an argument, or gave one too many, is shown which there are. */
function usageOf(message: string, path: string, command: Command): string {
  if (!/^(?:missing required argument|too many arguments)/.test(message)) return `${path} --help`
  const operands = command.registeredArguments.map((one) => {
    const name = `${one.name().toUpperCase()}${one.variadic ? '...' : ''}`
    return one.required ? name : `[${name}]`
  })
  return `${[path, ...operands].join(' ')} (${path} --help says more)`
}
