import { isIdle, type Node } from './node.ts'

/**
 * What a key that Berth knows but does not carry out leads to: `refused` where ignoring it would change who may do
 * what, or where data goes; `ignored` (a warning) elsewhere. Keys without a row work.
 */
export interface KeyStatus {
  effect: 'refused' | 'ignored'
  /** What to do, or what happens instead. */
  because: string
  /** True for values that ask for nothing; a null or empty value by default. */
  idle?: (node: Node) => boolean
}

/** By key path: list indexes are `[]`, names of a map `*`. */
export type Statuses = Readonly<Record<string, KeyStatus>>

export const refused = (because: string, idle?: KeyStatus['idle']): KeyStatus => row('refused', because, idle)
export const ignored = (because: string, idle?: KeyStatus['idle']): KeyStatus => row('ignored', because, idle)

/** For keys that turn something on: `false` asks for nothing. */
export const isOff = (node: Node): boolean =>
  node.kind === 'map'
    ? [...node.entries.values()].every((entry) => isOff(entry.node))
    : isIdle(node) || (node.kind === 'scalar' && node.value === false)

/** For keys whose presence counts, with or without a value. */
export const never = (): boolean => false

function row(effect: KeyStatus['effect'], because: string, idle: KeyStatus['idle']): KeyStatus {
  return idle === undefined ? { effect, because } : { effect, because, idle }
}
