import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../../config/config.ts'
import { type LoadInput, loadConfig, loadTokenServer } from '../../config/load.ts'
import type { FindRuling } from '../../doctor/check-rights.ts'
import type { ClientFacts } from '../../doctor/client-facts.ts'
import type { Ruling } from '../../doctor/ruling.ts'
import { rulingOf } from '../../doctor/ruling.ts'
import { gatherServer, type ServerFacts } from '../../doctor/server-facts.ts'
import type { AclAnswerView } from '../../http/api/schemas.ts'
import { formatScope } from '../../oci/scope.ts'
import { choosePath, defaultPath } from '../config-path.ts'
import type { ClientContext } from './context.ts'

/** What says where the configuration of a registry and its token server is. */
export interface ServerFlags {
  config?: string
  authConfig?: string
  data?: string
  bundle?: string
}

export interface Server {
  facts: ServerFacts
  /** Undefined where it has problems, or is a token server's alone. */
  config: Config | undefined
}

/** Variables of a registry; a token server alone has none. */
const REGISTRY_VARIABLE = /^REGISTRY_(AUTH|STORAGE|HTTP|CONFIGURATION_PATH)/

/** Undefined where neither flags nor, without a target, variables or the usual places name a configuration. */
export function readServer(context: ClientContext, flags: ServerFlags, isTargetGiven: boolean): Server | undefined {
  const { config, authConfig, data, bundle } = flags
  const isRegistry = config !== undefined || Object.keys(context.env).some((name) => REGISTRY_VARIABLE.test(name))
  const isNamed = config !== undefined || authConfig !== undefined || data !== undefined
  if (!isNamed && isTargetGiven) return bundle === undefined ? undefined : bundleAlone(bundle)
  if (authConfig !== undefined && !isRegistry && data === undefined) return ofTokenServer(context, authConfig, bundle)
  const usual = isRegistry || isNamed ? undefined : defaultPath()
  if (!isNamed && !isRegistry && usual === undefined) return undefined
  const { path } = choosePath(config ?? usual, context.env)
  const input: LoadInput = { file: path, authFile: authConfig, env: context.env, flags: { data } }
  const loaded = loadConfig(input)
  const facts = gatherServer({ loaded, config: loaded.config, authFile: authConfig, isTokenServerAlone: false, bundle })
  return { facts, config: loaded.config }
}

function ofTokenServer({ env }: ClientContext, authFile: string, bundle: string | undefined): Server {
  const loaded = loadTokenServer({ authFile, env, flags: {} })
  const facts = gatherServer({ loaded, config: loaded.config, authFile, isTokenServerAlone: true, bundle })
  return { facts, config: undefined }
}

/** A registry elsewhere, of which there is nothing but the file. */
function bundleAlone(bundle: string): Server {
  const effective = { kind: 'map' as const, at: { kind: 'default' as const }, entries: new Map() }
  const loaded = { problems: [], warnings: [], effective, mode: 'bare' as const }
  const facts = gatherServer({ loaded, config: undefined, authFile: undefined, isTokenServerAlone: true, bundle })
  return { facts, config: undefined }
}

export function subjectOf({ config, authConfig, data, bundle }: ServerFlags, server: Server | undefined): string[] {
  if (server === undefined) return []
  const { at } = server.facts.settings.root
  return [config ?? (at.kind === 'file' ? at.file : undefined), authConfig, data, bundle].filter(
    (file) => file !== undefined,
  )
}

/** Who decides over the scopes of a client: the rules of the files, or those of the server that has the data directory. */
export async function rulingsFor(client: ClientFacts, server: Server | undefined): Promise<FindRuling> {
  const account = client.credential?.name ?? ''
  const service = client.realm?.service ?? ''
  const scopes = client.grants.map(({ asked }) => asked).filter(([first]) => first !== undefined)
  const found = new Map<string, Ruling>()
  const left: string[] = []
  for (const asked of scopes) {
    const [first] = asked
    if (first === undefined) continue
    const { type, name } = first
    const question = { account, service, type, name, actions: asked.map(({ action }) => action) }
    const ruling = rulingOf(server?.facts.tokenServer, question)
    if (ruling === undefined) left.push(formatScope(asked))
    else found.set(formatScope(asked), ruling)
  }
  const { config } = server ?? {}
  if (left.length > 0 && config?.tokenServer !== undefined && existsSync(join(config.data.metadata, 'berth.db'))) {
    for (const [scope, ruling] of await askServer(config, account, service, left)) found.set(scope, ruling)
  }
  return (asked) => found.get(formatScope(asked))
}

/** As `berth acl test`. Nothing is found where the server does not let this user in. */
async function askServer(
  config: Config,
  account: string,
  service: string,
  scopes: readonly string[],
): Promise<[string, Ruling][]> {
  const { openControl } = await import('../../run-control.ts')
  const control = await openControl(config).catch(() => undefined)
  if (control === undefined) return []
  try {
    const answers: [string, Ruling][] = []
    for (const scope of scopes) {
      const body = JSON.stringify({ account, scope, service })
      const headers = { 'Content-Type': 'application/json' }
      const response = await control.fetch(
        new Request('http://berth/api/v1/acl/test', { method: 'POST', headers, body }),
      )
      if (!response.ok) continue
      const { rule, granted, trace } = (await response.json()) as AclAnswerView
      const comment = trace.find((step) => step.rule === rule)?.comment
      answers.push([scope, { rule: rule ?? undefined, comment, grants: granted, key: undefined }])
    }
    return answers
  } finally {
    await control.close()
  }
}
