import { type Command, InvalidArgumentError, Option } from 'commander'
import { CONNECTION_HEADING } from '../help-style.ts'
import type { ConnectionFlags } from './connection.ts'

type Creds = NonNullable<ConnectionFlags['creds']>

/** What one of two registries needs and the other does not. */
export interface SideFlags {
  srcInsecure?: true
  srcPlainHttp?: true
  srcCaFile?: string
  srcRegistryConfig?: string
  srcCreds?: Creds
  destInsecure?: true
  destPlainHttp?: true
  destCaFile?: string
  destRegistryConfig?: string
  destCreds?: Creds
}

/** Sides as skopeo and as oras call them. */
const SIDES = [
  ['src', 'source', 'from'],
  ['dest', 'destination', 'to'],
] as const

export function sideOptions(command: Command): Command {
  for (const [side, name, other] of SIDES) {
    const texts: [string, string][] = [
      ['insecure', `--insecure for the ${name} alone`],
      ['plain-http', `--plain-http for the ${name} alone`],
      ['ca-file <file>', `--ca-file for the ${name} alone`],
      ['registry-config <file>', `--registry-config for the ${name} alone`],
      ['creds <name:password>', `who asks the ${name}; others on this machine may see it there`],
    ]
    for (const [flag, text] of texts) {
      for (const word of [side, other]) {
        const option = new Option(`--${word}-${flag}`, text).helpGroup(CONNECTION_HEADING).hideHelp(word === other)
        if (flag.startsWith('creds')) option.argParser(parseCreds)
        command.addOption(option)
        // One place for both names.
        if (word === other)
          command.on(`option:${word}-${flag.split(' ', 1)[0]}`, () => moveTo(command, side, word, flag))
      }
    }
  }
  return command
}

function moveTo(command: Command, side: string, word: string, flag: string): void {
  const tail = flag
    .split(' ', 1)[0]
    ?.split('-')
    .map((part) => part[0]?.toUpperCase() + part.slice(1))
    .join('')
  command.setOptionValue(`${side}${tail}`, command.getOptionValue(`${word}${tail}`))
}

/** @throws InvalidArgumentError */
function parseCreds(text: string): Creds {
  const colon = text.indexOf(':')
  if (colon < 1 || colon === text.length - 1) throw new InvalidArgumentError('Write NAME:PASSWORD.')
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

/** The flags for each; `isOne`: they are the same. */
export function sidesOf(flags: ConnectionFlags & SideFlags): {
  src: ConnectionFlags
  dest: ConnectionFlags
  isOne: boolean
} {
  const src = flagsOf(flags.srcInsecure, flags.srcPlainHttp, flags.srcCaFile, flags.srcRegistryConfig, flags.srcCreds)
  const dest = flagsOf(
    flags.destInsecure,
    flags.destPlainHttp,
    flags.destCaFile,
    flags.destRegistryConfig,
    flags.destCreds,
  )
  const isOne = Object.keys(src).length === 0 && Object.keys(dest).length === 0
  return { src: { ...flags, ...src }, dest: { ...flags, ...dest }, isOne }
}

function flagsOf(
  insecure?: true,
  plainHttp?: true,
  caFile?: string,
  registryConfig?: string,
  creds?: Creds,
): ConnectionFlags {
  return {
    ...(insecure ? { insecure } : {}),
    ...(plainHttp ? { plainHttp } : {}),
    ...(caFile === undefined ? {} : { caFile }),
    ...(registryConfig === undefined ? {} : { registryConfig }),
    ...(creds === undefined ? {} : { creds }),
  }
}
