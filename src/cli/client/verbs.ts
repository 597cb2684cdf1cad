import type { Command } from 'commander'
import type { ClientContext } from './context.ts'

export interface Verb {
  summary: string
  /** Not loaded before it is called: what a client needs is nothing to a server that starts. */
  load(): Promise<(context: ClientContext) => Command>
  /** Command lines for the end of its help, from the verb on. */
  examples?: readonly string[]
  /** What to do after an interrupt, where there is something to say. */
  whenInterrupted?: string
}

const GOES_ON = 'the same command again goes on from here'

/** The verbs that speak to any registry. `docs/cli.md` has a section for each. */
export const VERBS: Readonly<Record<string, Verb>> = {
  login: {
    summary: 'log in to a registry, as docker login does',
    examples: ['login registry.example:5000 -u kim', 'login registry.example:5000 -u kim --password-stdin < password'],
    load: async () => (await import('./login.ts')).loginCommand,
  },
  logout: {
    summary: 'forget the credentials for a registry',
    load: async () => (await import('./logout.ts')).logoutCommand,
  },
  whoami: {
    summary: 'say who one is to a registry',
    load: async () => (await import('./whoami.ts')).whoamiCommand,
  },
  auth: {
    summary: 'print what lets one into a registry, or a token for a repository',
    examples: ['auth get registry.example:5000', 'auth token registry.example:5000/team/app --push'],
    load: async () => (await import('./auth.ts')).authCommand,
  },
  ping: {
    summary: 'ask whether a registry answers, and how it lets people in',
    load: async () => (await import('./ping.ts')).pingCommand,
  },
  doctor: {
    summary: 'find what is wrong with a registry, and say what to do',
    examples: [
      'doctor registry.example:5000/team/app --user kim --for push',
      'doctor --config config.yml --auth-config auth_config.yml',
      "doctor explain 'x509: certificate signed by unknown authority'",
    ],
    load: async () => (await import('./doctor.ts')).doctorCommand,
  },
  catalog: {
    summary: 'list the repositories of a registry',
    examples: ['catalog -l registry.example:5000'],
    load: async () => (await import('./catalog.ts')).catalogCommand,
  },
  search: {
    summary: 'find repositories and tags by a part of their names',
    examples: ['search app registry.example:5000 --tags'],
    load: async () => (await import('./search.ts')).searchCommand,
  },
  ls: {
    summary: 'list the tags of a repository',
    examples: [
      'ls -l registry.example:5000/team/app --sort semver --desc',
      "ls registry.example:5000/team/app --include '^v2' --format '{{.Tag}}'",
    ],
    load: async () => (await import('./ls.ts')).lsCommand,
  },
  digest: {
    summary: 'print the digest of an image',
    examples: ['digest registry.example:5000/team/app:v2'],
    load: async () => (await import('./digest.ts')).digestCommand,
  },
  manifest: {
    summary: 'print the manifest of an image, byte for byte',
    examples: ['manifest registry.example:5000/team/app:v2 --pretty'],
    load: async () => (await import('./manifest.ts')).manifestCommand,
  },
  inspect: {
    summary: 'describe an image, or print its configuration',
    examples: [
      'inspect registry.example:5000/team/app:v2 --platform linux/arm64',
      "inspect registry.example:5000/team/app:v2 --format '{{json .Env}}'",
    ],
    load: async () => (await import('./inspect.ts')).inspectCommand,
  },
  layers: {
    summary: 'list the layers of an image',
    load: async () => (await import('./layers.ts')).layersCommand,
  },
  history: {
    summary: 'show how an image was made',
    load: async () => (await import('./history.ts')).historyCommand,
  },
  dockerfile: {
    summary: 'print a Dockerfile close to that of an image, from its history',
    load: async () => (await import('./dockerfile.ts')).dockerfileCommand,
  },
  tree: {
    summary: 'show what an image is made of, and what refers to it',
    examples: ['tree registry.example:5000/team/app:v2 --depth 1'],
    load: async () => (await import('./tree.ts')).treeCommand,
  },
  files: {
    summary: 'list the files of an image, or of one of its layers',
    examples: ['files registry.example:5000/team/app:v2 /etc', 'files -l registry.example:5000/team/app:v2 --layer 2'],
    load: async () => (await import('./files.ts')).filesCommand,
  },
  cat: {
    summary: 'print a file of an image',
    examples: ['cat registry.example:5000/team/app:v2 /etc/os-release'],
    load: async () => (await import('./cat.ts')).catCommand,
  },
  diff: {
    summary: 'compare two images: configuration, layers and files',
    examples: ['diff r.example/team/app:v1 r.example/team/app:v2 --only config,layers'],
    load: async () => (await import('./diff.ts')).diffCommand,
  },
  cp: {
    summary: 'copy images to another repository or registry',
    examples: [
      'cp registry.example:5000/team/app:v2 other.example/team/app:v2',
      'cp --all-tags registry.example:5000/team/app other.example/team/app',
    ],
    load: async () => (await import('./cp.ts')).cpCommand,
    whenInterrupted: GOES_ON,
  },
  pull: {
    summary: 'write images to a file for docker load, or to an OCI layout',
    examples: [
      'pull registry.example:5000/team/app:v2 app.tar',
      'pull --format oci registry.example:5000/team/app:v2 ./layout',
    ],
    load: async () => (await import('./pull.ts')).pullCommand,
    whenInterrupted: 'nothing half is left under the name; run it again',
  },
  push: {
    summary: 'send an image from a file of docker save, or from an OCI layout',
    examples: ['push app.tar registry.example:5000/team/app:v2', 'push ./layout registry.example:5000/team/app:v2'],
    load: async () => (await import('./push.ts')).pushCommand,
    whenInterrupted: GOES_ON,
  },
  blob: {
    summary: 'get, look for, put or delete one blob',
    examples: ['blob put registry.example:5000/team/app sbom.json'],
    load: async () => (await import('./blob.ts')).blobCommand,
    whenInterrupted: 'nothing half is left under a name; run it again',
  },
  index: {
    summary: 'make an index of images for several platforms, and change it',
    examples: ['index create r.example/app:v2 r.example/app:amd64 r.example/app:arm64'],
    load: async () => (await import('./index.ts')).indexCommand,
    whenInterrupted: GOES_ON,
  },
  validate: {
    summary: 'check that an image is whole, with all that it names',
    examples: ['validate registry.example:5000/team/app:v2', 'validate ./layout'],
    load: async () => (await import('./validate.ts')).validateCommand,
  },
  tag: {
    summary: 'give an image further tags',
    load: async () => (await import('./tag.ts')).tagCommand,
  },
  untag: {
    summary: 'remove tags, and nothing else',
    examples: ['untag registry.example:5000/team/app:v1'],
    load: async () => (await import('./delete.ts')).untagCommand,
  },
  delete: {
    summary: 'delete tags, or manifests with all of their tags',
    examples: [
      'delete registry.example:5000/team/app:v1',
      'delete --manifest --dry-run registry.example:5000/team/app:v1',
    ],
    load: async () => (await import('./delete.ts')).deleteCommand,
  },
}

/** Other tools' names of the same. */
export const VERB_ALIASES: Readonly<Record<string, string>> = {
  tags: 'ls',
  'list-tags': 'ls',
  resolve: 'digest',
  discover: 'tree',
  referrers: 'tree',
  rm: 'delete',
  copy: 'cp',
  save: 'pull',
  load: 'push',
}

/** Words after a verb with which it is a noun of the server's commands: `berth tag history`, or `berth tag --help`. */
const NOUNS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  tag: ['history', 'restore', 'help', '--help', '-h', undefined],
}

/** Words after a noun of the server's commands with which it is a verb, whose commands they are. `berth auth FILE` is the token server. */
export const OF_NOUNS: Readonly<Record<string, readonly (string | undefined)[]>> = {
  auth: ['get', 'token'],
}

/** The verb that a word on the command line means, before `next`; undefined: none of these. */
export function verbOf(word: string, next?: string): string | undefined {
  if (Object.hasOwn(NOUNS, word) && NOUNS[word]?.includes(next)) return undefined
  if (Object.hasOwn(OF_NOUNS, word) && !OF_NOUNS[word]?.includes(next)) return undefined
  if (Object.hasOwn(VERBS, word)) return word
  return Object.hasOwn(VERB_ALIASES, word) ? VERB_ALIASES[word] : undefined
}
