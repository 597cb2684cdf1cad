import { parseArgs } from 'node:util'
import type { ServerName } from './servers.ts'

export interface Options<Name extends string> {
  quick: boolean
  rounds: number
  parts: readonly Name[]
  servers: readonly ServerName[]
  /** Whether free memory is filled before each turn (full-memory.ts). */
  fullMemory: boolean
  /** File for all samples. */
  json: string | undefined
}

const SERVERS: readonly ServerName[] = ['berth', 'peer']

/** @throws Error that says what is wrong with the command line. */
export function parseOptions<Name extends string>(argv: readonly string[], parts: readonly Name[]): Options<Name> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      'full-memory': { type: 'boolean', default: false },
      only: { type: 'string' },
      json: { type: 'string' },
      rounds: { type: 'string' },
      servers: { type: 'string' },
    },
  })
  const rounds = values.rounds === undefined ? (values.quick ? 2 : 5) : Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100)
    throw new Error('--rounds: expected a number from 1 to 100')
  return {
    quick: values.quick,
    fullMemory: values['full-memory'],
    rounds,
    parts: chosen('--only', values.only, parts),
    servers: chosen('--servers', values.servers, SERVERS),
    json: values.json,
  }
}

function chosen<Name extends string>(option: string, text: string | undefined, all: readonly Name[]): readonly Name[] {
  if (text === undefined) return all
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !all.some((known) => known === name))
  if (unknown.length > 0) throw new Error(`${option}: ${unknown.join(', ')} is none of ${all.join(', ')}`)
  return all.filter((name) => names.includes(name))
}
