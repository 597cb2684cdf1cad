import { DOCKER_HUB, parseRegistry } from '../upstream/reference.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { connect } from './client/connection.ts'
import type { ClientContext } from './client/context.ts'
import type { Completion } from './complete.ts'

/** Names that are shown at a time. */
const MAX_NAMES = 200

/** Registries that somebody is logged in to. */
export async function completeRegistry(current: string, context: ClientContext): Promise<Completion> {
  return { words: registriesOf(connect(context, {})).filter(startsWith(current)).map(named), besides: 'nothing' }
}

/**
 * The registries that are known, then the repositories of the one that stands there, then the tags of the one that stands there.
 * A registry that does not answer, or not to this user, has nothing to say.
 */
export async function completeImage(
  current: string,
  context: ClientContext,
  what: 'images' | 'repositories',
): Promise<Completion> {
  const upstream = connect(context, {})
  const slash = current.indexOf('/')
  if (slash === -1) {
    const words = registriesOf(upstream)
      .map((registry) => `${registry}/`)
      .filter(startsWith(current))
    return { words: words.map(named), besides: 'more' }
  }
  const [host, rest] = [current.slice(0, slash), current.slice(slash + 1)]
  try {
    const registry = parseRegistry(host)
    const colon = rest.lastIndexOf(':')
    if (colon !== -1 && what === 'repositories') return { words: [], besides: 'nothing' }
    const head = colon === -1 ? `${host}/` : `${host}/${rest.slice(0, colon)}:`
    const names =
      colon === -1 ? upstream.catalog(registry) : upstream.tags({ registry, repository: rest.slice(0, colon) })
    const words = await some(names, rest.slice(colon + 1))
    return {
      words: words.map((name) => named(head + name)),
      besides: colon === -1 && what === 'images' ? 'more' : 'nothing',
    }
  } catch {
    return { words: [], besides: 'nothing' }
  }
}

async function some(names: AsyncIterable<string>, start: string): Promise<string[]> {
  const found: string[] = []
  for await (const name of names) {
    // What a shell would take for something else is not offered.
    if (name.startsWith(start) && /^[\w./-]+$/.test(name)) found.push(name)
    if (found.length >= MAX_NAMES) break
  }
  return found
}

function registriesOf({ credentials }: Upstream): string[] {
  return [...new Set(credentials.registries())].filter((name) => name !== DOCKER_HUB && /^[\w.:[\]-]+$/.test(name))
}

function startsWith(start: string): (text: string) => boolean {
  return (text) => text.startsWith(start)
}

function named(word: string): readonly [string, string] {
  return [word, '']
}
