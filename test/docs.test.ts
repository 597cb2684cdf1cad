import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import type { Command } from 'commander'
import { contextOfProcess } from '../src/cli/client/context.ts'
import { VERBS, verbOf } from '../src/cli/client/verbs.ts'
import { berthCommand } from '../src/cli/commands.ts'
import { registryCommand } from '../src/cli/registry.ts'
import { commandsIn, type DocCommand } from './doc-commands.ts'

const PROJECT = join(import.meta.dir, '..')
const files = ['*.md', 'docs/*.md'].flatMap((glob) => [...new Bun.Glob(glob).scanSync(PROJECT)]).sort()
const pages = new Map(
  await Promise.all(files.map(async (file) => [file, await Bun.file(join(PROJECT, file)).text()] as const)),
)

describe('a link of a document', () => {
  const broken = [...pages].flatMap(([file, text]) =>
    linksOf(text)
      .filter((link) => !leads(file, link))
      .map((link) => `${file}: ${link}`),
  )
  test('leads to a file that there is, and to a heading in it', () => {
    expect(broken).toEqual([])
  })

  test('would be found if it led nowhere', () => {
    expect(linksOf('[a](b.md) `[c](d.md)`\n```\n[e](f.md)\n```\n[g](#h)')).toEqual(['b.md', '#h'])
    expect(leads('docs/cli.md', 'nothing.md')).toBe(false)
    expect(leads('docs/cli.md', '../README.md#start')).toBe(true)
    expect(leads('docs/cli.md', '../README.md#no-such-heading')).toBe(false)
    expect(slugOf('A full disk: `berth gc run`, and more!')).toBe('a-full-disk-berth-gc-run-and-more')
  })
})

test('a file of the sources that a document names is there', async () => {
  const named = [...pages].flatMap(([file, text]) =>
    [...text.matchAll(/`((?:src|test|bin|build)\/[\w./-]+)`/g)].map(([, path = '']) => ({ file, path })),
  )
  // `schema-N.sql` stands for each of them.
  const missing = named.filter(({ path }) => !/-N\./.test(path) && !existsSync(join(PROJECT, path)))
  expect(missing).toEqual([])
  expect(named.length).toBeGreaterThan(80)
})

describe('a command of a document', () => {
  const all = [...pages].flatMap(([file, text]) => commandsIn(text).map((command) => ({ ...command, file })))

  test('is one that there is, with flags and arguments that it takes', async () => {
    const wrong: string[] = []
    for (const command of all) {
      const fault = await faultOf(command)
      if (fault !== undefined) wrong.push(`${command.file}:${command.line}: ${command.words.join(' ')}: ${fault}`)
    }
    expect(wrong).toEqual([])
    expect(all.length).toBeGreaterThan(200)
  })

  test.each<[string, string | undefined]>([
    ['berth ls registry.example/a', undefined],
    ['berth retention set nightly --tag x --action delete', undefined],
    ['registry serve config.yml', undefined],
    ['berth lss a', 'there is no command lss'],
    ['berth retention sett a', 'there is no command retention sett'],
    ['berth ls a --sorted', 'there is no flag --sorted'],
    ['berth ls', 'takes at least 1 arguments'],
    ['berth version now', 'takes at most 0 arguments'],
    ['berth ls a --sort sideways', '--sort is one of'],
    ['berth serve --tls', '--tls needs a value'],
  ])('%s', async (text, fault) => {
    const [command] = commandsIn(`\`\`\`sh\n${text}\n\`\`\``)
    if (command === undefined) throw new Error('no command was found')
    const found = await faultOf(command)
    if (fault === undefined) expect(found).toBeUndefined()
    else expect(found).toContain(fault)
  })
})

function linksOf(text: string): string[] {
  const plain = text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '')
  return [...plain.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
}

function leads(file: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? file : normalize(join(dirname(file), path))
  const text = pages.get(target)
  if (text === undefined) return anchor === undefined && path !== '' && Bun.file(join(PROJECT, target)).size > 0
  return anchor === undefined || headingsOf(text).includes(anchor)
}

function headingsOf(text: string): string[] {
  const plain = text.replace(/^```.*?^```$/gms, '')
  return [...plain.matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => slugOf(heading))
}

/** As GitHub makes anchors. */
function slugOf(heading: string): string {
  const words = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '')
  return words.trim().replace(/\s/g, '-')
}

async function rootOf(words: readonly string[]): Promise<{ command: Command; rest: readonly string[] } | undefined> {
  const [program, first = '', second] = words
  if (program === 'registry') return { command: registryCommand(), rest: words.slice(1) }
  const verb = verbOf(first, second)
  if (verb === undefined) return { command: berthCommand(), rest: words.slice(1) }
  const load = VERBS[verb]?.load
  return load === undefined
    ? undefined
    : { command: (await load())(contextOfProcess(new AbortController().signal)), rest: words.slice(2) }
}

function isDockerAuths([, first = '', ...rest]: readonly string[]): boolean {
  return first.startsWith('-') && /\.ya?ml$/.test(rest.at(-1) ?? '')
}

/** What is wrong with a command line; undefined: nothing. In prose, arguments may be left out. */
async function faultOf({ words, inProse }: DocCommand): Promise<string | undefined> {
  // `berth VERB --help` speaks of each; docker_auth's own command line has a test of its own.
  if (/^[A-Z]+$/.test(words[1] ?? '') || isDockerAuths(words)) return undefined
  const root = await rootOf(words)
  if (root === undefined) return `there is no command ${words[1]}`
  let { command } = root
  const rest = [...root.rest]
  const path: string[] = []
  // `berth config.yml` serves it.
  if (command.name() === 'berth' && /\.ya?ml$/.test(rest[0] ?? '')) rest.unshift('serve')
  while (command.commands.length > 0 && rest[0] !== undefined && !rest[0].startsWith('-')) {
    const child = command.commands.find((one) => one.name() === rest[0] || one.aliases().includes(rest[0] ?? ''))
    if (child === undefined && command.registeredArguments.length > 0) break
    path.push(rest[0])
    if (child === undefined) return `there is no command ${path.join(' ')}`
    command = child
    rest.shift()
  }
  let given = 0
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] ?? ''
    if (word === '--') {
      given += rest.length - at - 1
      break
    }
    if (!word.startsWith('-') || word === '-') {
      given++
      continue
    }
    const [flag = '', attached] = word.split('=', 2)
    if (flag === '--help' || flag === '-h' || (command.name() === 'berth' && flag === '--version')) continue
    const option = command.options.find(({ long, short }) => long === flag || short === flag)
    const cluster = /^-[a-zA-Z]{2,}$/.test(flag) ? [...flag.slice(1)] : undefined
    if (option === undefined) {
      if (cluster?.every((letter) => command.options.some(({ short }) => short === `-${letter}`))) continue
      return `there is no flag ${flag}`
    }
    if (!option.required) continue
    const value = attached ?? rest[++at]
    if (value === undefined) {
      if (inProse) continue
      return `${flag} needs a value`
    }
    if (option.argChoices !== undefined && !value.split('|').every((one) => option.argChoices?.includes(one)))
      return `${flag} is one of ${option.argChoices.join(', ')}`
  }
  if (inProse) return undefined
  const wanted = command.registeredArguments
  const least = wanted.filter(({ required }) => required).length
  if (given < least) return `takes at least ${least} arguments`
  const most = wanted.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : wanted.length
  return given > most ? `takes at most ${most} arguments` : undefined
}
