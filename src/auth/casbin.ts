import { readFile, stat } from 'node:fs/promises'
import type { Assertion, FunctionMap, Model } from 'casbin'
import { LRUCache } from 'lru-cache'
import { RE2JS } from 're2js'
import { matchGlob } from '../oci/glob.ts'
import type { AclRequest } from './acl.ts'
import { type Labels, UnavailableError } from './authenticator.ts'
import type { Authorizer } from './authorizer.ts'
import { addressText, labelsJson } from './external-rules.ts'
import { contains, parseAddress, parseNetwork } from './ip.ts'

export interface CasbinOptions {
  /** Path of the model (`[request_definition]` …). */
  model: string
  /** Path of the policy, CSV. */
  policy: string
  warn?: (message: string, fields: Record<string, unknown>) => void
}

/** What a request definition must have: account, type, name, service, ip, action, labels. */
const REQUEST_VALUES = 7
/** Distinct actions of one request, each of which is a pass through the whole policy. */
const MAX_ACTIONS = 100
/** Characters of a regular expression, and the sum of its counted repetitions: either may come from a request. */
const MAX_PATTERN = 4_000
const MAX_REPEATS = 1_000

interface Rules {
  /** Identity of both files. */
  stamp: string
  /** @throws Error when the rules cannot be evaluated for the request. */
  enforce(values: readonly string[]): boolean
}

/**
 * Rules of Casbin (docker_auth's `casbin_authz`): of the actions that were asked, those for which the model says yes. An
 * action for which it cannot be evaluated is refused, with a warning. It always decides, so it is the last of the sources.
 *
 * The files are read again when one of them changes; while they cannot be used the rules before hold, with a warning.
 * The model is an expression of the operator, and may call methods of JavaScript's strings, whose time nothing bounds; its
 * functions are safe also with values of the request as patterns (see `functions`).
 *
 * @throws Error, for the operator, when the files cannot be used at the start.
 */
export async function createCasbinAuthorizer(options: CasbinOptions): Promise<Authorizer> {
  const { model, policy, warn } = options
  let current = await load(model, policy, await stampOf(model, policy))
  let loading: { stamp: string; done: Promise<Rules> } | undefined
  /** Files that are known to be of no use, and what was said about them. */
  let refused: string | undefined
  let warned: string | undefined

  async function rules(): Promise<Rules> {
    try {
      const stamp = await stampOf(model, policy)
      if (stamp === current.stamp || stamp === refused) return current
      if (loading?.stamp !== stamp) loading = { stamp, done: load(model, policy, stamp) }
      const mine = loading
      try {
        current = await mine.done
        refused = undefined
        warned = undefined
      } catch (error) {
        // What is wrong with the text stays wrong; what the disk said is asked again.
        if (error instanceof RulesError) refused = stamp
        throw error
      } finally {
        if (loading === mine) loading = undefined
      }
    } catch (error) {
      const problem = messageOf(error)
      if (problem !== warned) warn?.('the rules of Casbin cannot be read again: those before stay', { problem })
      warned = problem
    }
    return current
  }

  return {
    name: 'casbin_authz',
    async authorize({ account, type, name, service, ip, actions, labels }: AclRequest) {
      const { enforce } = await rules()
      const asked = new Set(actions)
      if (asked.size > MAX_ACTIONS) throw new UnavailableError('too many actions in one scope')
      const [address, groups] = [addressText(ip), labelsJson(labels)]
      for (const action of asked) {
        try {
          if (!enforce([account, type, name, service, address, action, groups])) asked.delete(action)
        } catch (error) {
          asked.delete(action)
          warn?.('the rules of Casbin cannot be evaluated: refused', {
            problem: messageOf(error),
            ...{ account, type, name, action },
          })
        }
      }
      return { actions: actions.filter((action) => asked.has(action)), rule: 'casbin_authz' }
    },
  }
}

/** The text of a file is not what Casbin takes. */
class RulesError extends Error {}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

async function stampOf(...paths: string[]): Promise<string> {
  const stamps: string[] = []
  // One after the other: of two that are missing, the message names the same one each time.
  for (const path of paths) {
    const { mtimeNs, size, ino, dev } = await stat(path, { bigint: true }).catch((cause: unknown) => {
      throw new Error(`casbin_authz: ${messageOf(cause)}`, { cause })
    })
    stamps.push(`${mtimeNs} ${size} ${ino} ${dev}`)
  }
  return stamps.join(' ')
}

async function load(modelPath: string, policyPath: string, stamp: string): Promise<Rules> {
  const [modelText, policyText] = await Promise.all([readFile(modelPath, 'utf8'), readFile(policyPath, 'utf8')])
  // Only here: few use it, and it would make every start slower.
  const { Helper, newEnforcer, newModelFromString, StringAdapter } = await import('casbin')

  /** Line by line, for the library skips what it does not know, and takes a line that lacks a value. */
  function loadLines(model: Model): void {
    const sections = [...model.model].flatMap(([section, byName]) =>
      section === 'p' || section === 'g' ? [...byName.values()].map((assertion) => ({ section, assertion })) : [],
    )
    for (const [index, line] of policyText.split('\n').entries()) {
      if (line.trim() === '' || line.trim().startsWith('#')) continue
      const at = `casbin_authz: ${policyPath}:${index + 1}: `
      const before = sections.map(({ assertion }) => assertion.policy.length)
      attempt(at, () => Helper.loadPolicyLine(line, model))
      const into = sections.find(({ assertion }, i) => assertion.policy.length !== before[i])
      if (into === undefined) throw new RulesError(`${at}the model has no definition for this line`)
      const { assertion, section } = into
      const got = assertion.policy.at(-1)?.length ?? 0
      const wanted = section === 'p' ? assertion.tokens.length : assertion.value.split('_').length - 1
      if (got !== wanted)
        throw new RulesError(`${at}${assertion.key} has ${wanted} values in the model, and ${got} here`)
    }
  }

  const model = attempt(`casbin_authz: ${modelPath}: `, () => {
    const read = newModelFromString(modelText)
    checkModel(read)
    return read
  })
  const adapter = new StringAdapter(policyText)
  adapter.loadPolicy = async (into) => loadLines(into)
  const enforcer = await newEnforcer(model, adapter).catch((cause: unknown) => {
    throw cause instanceof RulesError ? cause : new RulesError(`casbin_authz: ${messageOf(cause)}`, { cause })
  })
  // `addFunction` keeps the library's own where there is one, so they are put into the map itself.
  const { fm } = enforcer as unknown as { fm: FunctionMap }
  const known: Map<string, unknown> = fm.getFunctions()
  for (const [name, value] of Object.entries(functions)) known.set(name, value)

  const roles = [...(model.model.get('g')?.values() ?? [])]
  for (const assertion of roles) forgetUnknownDomains(assertion)
  attempt(`casbin_authz: ${modelPath}: `, () => {
    checkCalls(matcherOf(model), new Set([...known.keys(), ...roles.map(({ key }) => key), 'eval']))
    // Finds what only an evaluation shows: the grammar of the matcher, an unknown effect.
    const trial = ['account', 'repository', 'name', 'service', '127.0.0.1', 'pull', 'null']
    if ((model.model.get('p')?.get('p')?.policy.length ?? 0) > 0) enforcer.enforceSync(...trial)
  })
  return { stamp, enforce: (values) => enforcer.enforceSync(...values) }
}

/** @throws RulesError with the place before the message. */
function attempt<T>(at: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new RulesError(at + messageOf(cause), { cause })
  }
}

function matcherOf(model: Model): string {
  return model.model.get('m')?.get('m')?.value ?? ''
}

function checkModel(model: Model): void {
  const values = model.model.get('r')?.get('r')?.tokens.length ?? 0
  if (values !== REQUEST_VALUES) {
    throw new Error(
      `[request_definition] must have the ${REQUEST_VALUES} values account, type, name, service, ip, action, labels`,
    )
  }
  // It would run text of the client as an expression.
  if (/\beval\(\s*r\d*_/.test(matcherOf(model))) throw new Error('[matchers] must not eval a value of the request')
}

/** The library takes a call of a function that does not exist as undefined, and so as "no". */
function checkCalls(matcher: string, known: ReadonlySet<string>): void {
  const code = matcher.replace(/"[^"]*"|'[^']*'/g, '""')
  for (const [, name = ''] of code.matchAll(/(?<![\w.])([A-Za-z_]\w*)\s*\(/g)) {
    if (name !== 'in' && !known.has(name)) throw new Error(`[matchers] calls ${name}, which is no function`)
  }
}

/** The library remembers each domain that it is asked about, for ever; where one has no roles the answer is known. */
function forgetUnknownDomains({ rm, policy }: Assertion): void {
  const domains = new Set(policy.map((row) => row[2]))
  const hasLink = rm.syncedHasLink?.bind(rm)
  if (hasLink === undefined) return
  rm.syncedHasLink = (a, b, ...domain) =>
    domain.length === 0 || domains.has(domain[0]) ? hasLink(a, b, ...domain) : a === b
}

/**
 * The functions of a model, with the meaning that they have in docker_auth's Casbin (Go), in place of the library's:
 * those run JavaScript's regular expressions, which a request can keep busy for ever where an expression has nested
 * repetitions; never come back from `keyMatch2` to `keyMatch5` with patterns such as `/:/`; and print. These use RE2,
 * whose time is linear, and Go's `path.Match`. (`keyMatch` and `keyGet` compare text; the library's stay.)
 */
const functions = {
  regexMatch: (value: unknown, pattern: unknown) => regexOf(text(pattern)).test(text(value)),
  keyMatch2: (value: unknown, pattern: unknown) => template(pattern, /:[^/]+/g, '[^/]+').test(text(value)),
  keyMatch3: (value: unknown, pattern: unknown) => template(pattern, /\{[^/]+\}/g, '[^/]+').test(text(value)),
  keyMatch4: (value: unknown, pattern: unknown) => {
    const names: string[] = text(pattern).match(/\{[^/]+\}/g) ?? []
    const found = groupsOf(template(pattern, /\{[^/]+\}/g, '([^/]+)'), text(value))
    if (found === undefined) return false
    if (found.length !== names.length) throw new Error('keyMatch4: the pattern has groups of its own')
    // The same name stands for the same text.
    return names.every((name, i) => found[names.indexOf(name)] === found[i])
  },
  keyMatch5: (value: unknown, pattern: unknown) =>
    template(pattern, /\{[^/]+\}/g, '[^/]+').test(text(value).replace(/\?.*$/s, '')),
  keyGet2: (value: unknown, pattern: unknown, name: unknown) => {
    const names: string[] = text(pattern).match(/:[^/]+/g) ?? []
    const found = groupsOf(template(pattern, /:[^/]+/g, '([^/]+)'), text(value))
    return found?.[names.indexOf(`:${text(name)}`)] ?? ''
  },
  keyGet3: (value: unknown, pattern: unknown, name: unknown) => {
    const names: string[] = text(pattern).match(/\{[^/]+?\}/g) ?? []
    const found = groupsOf(template(pattern, /\{[^/]+?\}/g, '([^/]+?)'), text(value))
    return found?.[names.indexOf(`{${text(name)}}`)] ?? ''
  },
  globMatch: (value: unknown, pattern: unknown) => matchGlob(text(pattern), text(value)),
  ipMatch: (value: unknown, pattern: unknown) => {
    const address = parseAddress(text(value))
    const network = parseNetwork(text(pattern))
    if (address === undefined) throw new Error('ipMatch: the address of the client is not known')
    if (network === undefined) throw new Error(`ipMatch: ${pattern} is neither an address nor a CIDR block`)
    return contains(network, address)
  },
  labelMatch,
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('a function was called with something that is not text')
  return value
}

const compiled = new LRUCache<string, RE2JS>({ max: 500 })

/** @throws Error when it is not valid or too large. */
function regexOf(pattern: string): RE2JS {
  let regex = compiled.get(pattern)
  if (regex === undefined) {
    const repeats = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].reduce(
      (sum, [, low, high]) => sum + Math.max(Number(low), Number(high ?? 0)),
      0,
    )
    if (pattern.length > MAX_PATTERN || repeats > MAX_REPEATS) throw new Error('a regular expression is too large')
    regex = RE2JS.compile(pattern)
    compiled.set(pattern, regex)
  }
  return regex
}

/** An expression for the whole text, from a path whose named parts are one segment each, and `/*` anything. */
function template(pattern: unknown, part: RegExp, by: string): RE2JS {
  return regexOf(`^${text(pattern).replaceAll('/*', '/.*').replace(part, by)}$`)
}

function groupsOf(regex: RE2JS, value: string): string[] | undefined {
  const matcher = regex.matcher(value)
  if (!matcher.find()) return undefined
  return Array.from({ length: regex.groupCount() }, (_, i) => matcher.group(i + 1) ?? '')
}

const parsed = new LRUCache<string, Labels>({ max: 1_000 })

/**
 * Whether an account has every value of every label that a policy wants; both are JSON, as `{"team":["a","b"]}`. An empty
 * text wants nothing.
 * @throws Error when one of them is not labels: docker_auth takes that for "wants nothing", which lets everybody in.
 */
function labelMatch(had: unknown, wanted: unknown): boolean {
  const [own, required] = [labelsOf(text(had)), labelsOf(text(wanted))]
  return Object.entries(required).every(([label, values]) => {
    const mine = Object.hasOwn(own, label) ? (own[label] ?? []) : []
    return values.every((value) => mine.includes(value))
  })
}

function labelsOf(json: string): Labels {
  let labels = parsed.get(json)
  if (labels === undefined) {
    const value: unknown = json.trim() === '' ? {} : (JSON.parse(json) ?? {})
    const lists = Object.values(value as object)
    if (typeof value !== 'object' || Array.isArray(value) || !lists.every(isTexts)) {
      throw new Error('labelMatch: labels must look like {"NAME": ["VALUE"]}')
    }
    labels = value as Labels
    parsed.set(json, labels)
  }
  return labels
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
