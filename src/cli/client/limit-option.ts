import { type Command, InvalidArgumentError } from 'commander'
import { DEFAULT_LIMITS, type Limits, parseLimit } from '../../archive/budget.ts'

/** How much is read of layers, which may expand without end. */
export interface LimitFlags {
  limit?: Partial<Limits>
}

export function limitOption(command: Command): Command {
  const names = Object.keys(DEFAULT_LIMITS).join(', ')
  return command.option('--limit <name=value>', `read more of layers, or less: ${names}; may be repeated`, collectLimit)
}

export function limitsOf({ limit }: LimitFlags): Limits {
  return { ...DEFAULT_LIMITS, ...limit }
}

function collectLimit(text: string, before: Partial<Limits> = {}): Partial<Limits> {
  const limit = parseLimit(text)
  if (limit !== undefined) return { ...before, ...limit }
  throw new InvalidArgumentError('Write layer=64GiB, total=128GiB, ratio=1000 or entries=2000000.')
}
