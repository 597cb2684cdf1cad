import { existsSync } from 'node:fs'

/** Nouns with verbs, as other clients (crane, regctl, oras, docker) have them: the verb here, and what it needs to mean the same. */
const PHRASES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  'manifest get': ['manifest'],
  'manifest fetch': ['manifest'],
  'manifest inspect': ['manifest', '--pretty'],
  'manifest head': ['digest'],
  'manifest digest': ['digest'],
  'manifest delete': ['delete', '--manifest'],
  'manifest rm': ['delete', '--manifest'],
  'tag ls': ['ls'],
  'tag list': ['ls'],
  'tag rm': ['untag'],
  'tag delete': ['untag'],
  'image inspect': ['inspect'],
  'image config': ['inspect', '--config'],
  'image manifest': ['manifest'],
  'image digest': ['digest'],
  'image history': ['history'],
  'image copy': ['cp'],
  'image cp': ['cp'],
  'image delete': ['delete'],
  'image rm': ['delete'],
  'image save': ['pull'],
  'image export': ['pull'],
  'image load': ['push'],
  'image import': ['push'],
  'artifact tree': ['tree'],
  'artifact list': ['tree'],
  'artifact ls': ['tree'],
}

/** The same command line in Berth's own words; undefined: it is no such phrase. What follows must be the name of something. */
export function phraseOf(args: readonly string[]): readonly [string, ...string[]] | undefined {
  const [noun = '', verb = '', ...rest] = args
  if (noun === 'auth' && (verb === 'login' || verb === 'logout') && !existsSync(verb)) return [verb, ...rest]
  const phrase = Object.hasOwn(PHRASES, `${noun} ${verb}`) ? PHRASES[`${noun} ${verb}`] : undefined
  // `berth tag ls v1` gives the image "ls" a tag.
  const isMeant = rest.some((word) => /^[^-].*\//.test(word)) || rest.includes('--help') || rest.includes('-h')
  return phrase !== undefined && isMeant ? [...phrase, ...rest] : undefined
}

const LISTS = 'berth catalog HOST lists repositories, berth ls HOST/NAME their tags'

/** What somebody may have meant by a word that is no command. */
const WORDS: Readonly<Record<string, string>> = {
  images: LISTS,
  image: LISTS,
  list: LISTS,
  repos: LISTS,
  rmi: 'berth delete HOST/NAME:TAG',
  import: 'berth push FILE HOST/NAME:TAG',
  config: 'berth inspect --config HOST/NAME:TAG',
  size: 'berth inspect HOST/NAME:TAG',
  attach: 'berth tree HOST/NAME:TAG shows what refers to an image; oras attaches to it',
  run: 'berth serve runs the registry; docker or podman runs images',
  start: 'berth serve runs the registry',
  server: 'berth serve runs the registry',
  passwd: 'berth user passwd NAME',
  logs: 'berth audit lists decisions and changes',
  status: 'berth healthcheck, berth gc status, or berth ping HOST',
}

export function hintFor(word: string): string | undefined {
  return Object.hasOwn(WORDS, word) ? WORDS[word] : undefined
}
