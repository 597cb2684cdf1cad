import { type Command, Option } from 'commander'
import { UpstreamError } from '../../upstream/error.ts'
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
      const option = new Option(`--${side}-${flag}`, text).helpGroup(CONNECTION_HEADING)
      const alias = new Option(`--${other}-${flag}`, text).hideHelp()
      if (flag.startsWith('creds')) for (const one of [option, alias]) one.argParser(parseCreds)
      command.addOption(option).addOption(alias)
      // One place for both names.
      command.on(`option:${alias.name()}`, () =>
        command.setOptionValue(option.attributeName(), command.getOptionValue(alias.attributeName())),
      )
    }
  }
  return command
}

/** @throws UpstreamError `usage`, which does not show what may be a password */
function parseCreds(text: string): Creds {
  const colon = text.indexOf(':')
  if (colon < 1 || colon === text.length - 1) {
    throw new UpstreamError('usage', 'what lets somebody in at one side is no NAME:PASSWORD', {
      hint: '--src-creds NAME:PASSWORD, --dest-creds NAME:PASSWORD',
    })
  }
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
