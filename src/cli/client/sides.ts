import { type Command, Option } from 'commander'
import { CONNECTION_HEADING } from '../help-style.ts'
import type { ConnectionFlags } from './connection.ts'

/** What one of two registries needs and the other does not. */
export interface SideFlags {
  srcInsecure?: true
  srcPlainHttp?: true
  srcCaFile?: string
  srcRegistryConfig?: string
  destInsecure?: true
  destPlainHttp?: true
  destCaFile?: string
  destRegistryConfig?: string
}

export function sideOptions(command: Command): Command {
  for (const [side, name] of [
    ['src', 'source'],
    ['dest', 'destination'],
  ]) {
    const options = [
      new Option(`--${side}-insecure`, `--insecure for the ${name} alone`),
      new Option(`--${side}-plain-http`, `--plain-http for the ${name} alone`),
      new Option(`--${side}-ca-file <file>`, `--ca-file for the ${name} alone`),
      new Option(`--${side}-registry-config <file>`, `--registry-config for the ${name} alone`),
    ]
    for (const option of options) command.addOption(option.helpGroup(CONNECTION_HEADING))
  }
  return command
}

/** The flags for each; `isOne`: they are the same. */
export function sidesOf(flags: ConnectionFlags & SideFlags): {
  src: ConnectionFlags
  dest: ConnectionFlags
  isOne: boolean
} {
  const src = flagsOf(flags.srcInsecure, flags.srcPlainHttp, flags.srcCaFile, flags.srcRegistryConfig)
  const dest = flagsOf(flags.destInsecure, flags.destPlainHttp, flags.destCaFile, flags.destRegistryConfig)
  const isOne = Object.keys(src).length === 0 && Object.keys(dest).length === 0
  return { src: { ...flags, ...src }, dest: { ...flags, ...dest }, isOne }
}

function flagsOf(insecure?: true, plainHttp?: true, caFile?: string, registryConfig?: string): ConnectionFlags {
  return {
    ...(insecure ? { insecure } : {}),
    ...(plainHttp ? { plainHttp } : {}),
    ...(caFile === undefined ? {} : { caFile }),
    ...(registryConfig === undefined ? {} : { registryConfig }),
  }
}
