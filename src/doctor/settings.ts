import { describePath, type MapNode, nodeAt, type Path, type Source, sourceAt } from '../config/node.ts'

/** Files and variables of a registry and its token server, where they are at hand. */
export interface Settings {
  /** After files, variables, flags and defaults; the token server's keys are below `tokenserver`. */
  root: MapNode
  /** The file that has the token server's keys at its top. */
  authFile: string | undefined
}

/** Where a key is written when the files are not at hand. */
const ELSEWHERE = { registry: "the registry's config.yml", auth: "the token server's auth_config.yml" } as const

/** The text of a key; undefined where it is not given, empty, or no text. */
export function textAt(settings: Settings | undefined, path: Path): string | undefined {
  const node = settings && nodeAt(settings.root, path)
  return node?.kind === 'scalar' && node.text !== '' ? node.text : undefined
}

/** The key as its own file calls it: `auth.token.realm`; the token server's is `token.issuer` in a file of its own. */
export function nameOf(settings: Settings | undefined, path: Path): string {
  const isWithin = settings !== undefined && settings.authFile === undefined
  return describePath(path[0] === 'tokenserver' && path.length > 1 && !isWithin ? path.slice(1) : path)
}

/** `config.yml:12`, `REGISTRY_HTTP_ADDR`; undefined where the key is not given. */
export function whereIs(settings: Settings | undefined, path: Path): string | undefined {
  if (settings === undefined || nodeAt(settings.root, path) === undefined) return undefined
  return described(sourceAt(settings.root, path))
}

/**
 * How to give a key another value: `config.yml:12: realm: https://…`, the variable that has it, or, where the files are not at hand, the file
 * and the variable that may.
 */
export function change(settings: Settings | undefined, path: Path, value: string): string {
  const last = String(path.at(-1) ?? '')
  const line = `${last}: ${yamlText(value)}`
  const isAuth = path[0] === 'tokenserver'
  if (settings === undefined || (isAuth && nodeAt(settings.root, ['tokenserver']) === undefined)) {
    const place = isAuth ? ELSEWHERE.auth : ELSEWHERE.registry
    return isAuth
      ? `${place}: ${nameOf(settings, path)}: ${yamlText(value)}`
      : `${place}: ${nameOf(settings, path)}: ${yamlText(value)} (or ${variableOf(path)}=${shellText(value)})`
  }
  const node = nodeAt(settings.root, path)
  const at = sourceAt(settings.root, path)
  if (node !== undefined && at.kind === 'environment') return `${at.name}=${shellText(value)}`
  if (node !== undefined && at.kind === 'flag') return `${at.name} ${shellText(value)}`
  const where = described(at)
  if (node !== undefined && where !== undefined) return `${where}: ${line}`
  if (!isAuth && (at.kind === 'environment' || at.kind === 'default')) return `${variableOf(path)}=${shellText(value)}`
  return `${where ?? ELSEWHERE.auth}: add ${nameOf(settings, path)}: ${yamlText(value)}`
}

function described(source: Source): string | undefined {
  if (source.kind === 'file') return `${source.file}:${source.line}`
  return source.kind === 'default' ? undefined : source.name
}

function variableOf(path: Path): string {
  return `REGISTRY_${path.join('_').toUpperCase()}`
}

/** A value as it can be pasted into YAML. */
export function yamlText(value: string): string {
  const isPlain = /^[A-Za-z/][\w./:@+-]*$/.test(value) && !/:$|^(yes|no|on|off|null)$/i.test(value)
  return isPlain || /^[[{]/.test(value) ? value : JSON.stringify(value)
}

export function shellText(value: string): string {
  return /^[\w./:@+=-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`
}
