import type { Argument, Command, Option } from 'commander'
import { type ClientContext, contextOfProcess } from './client/context.ts'
import { OF_NOUNS, VERB_ALIASES, VERBS, verbOf } from './client/verbs.ts'
import { completeImage, completeRegistry } from './complete-image.ts'

/** What may stand in the place of the last word. */
export interface Completion {
  /** Whole words, each with what it means. */
  words: (readonly [string, string])[]
  /** `files`: names of files, too; `more`: a word is not yet whole, so that no space belongs behind it. */
  besides: 'nothing' | 'files' | 'more'
}

const nothing = (besides: Completion['besides'] = 'nothing'): Completion => ({ words: [], besides })

/** Seconds that a registry has to say its names, for somebody has pressed a key and waits; `BERTH_COMPLETION_SECONDS` says others. */
const PATIENCE = 2

/** For the scripts of `completion`: `-- WORD…`. Whatever goes wrong, there is nothing to complete. */
export async function printCompletion(berth: Command, args: readonly string[]): Promise<number> {
  const context = contextOfProcess(AbortSignal.timeout(1000 * patienceOf(process.env.BERTH_COMPLETION_SECONDS)))
  const words = args[0] === '--' ? args.slice(1) : args
  const found = await complete(berth, words, context).catch(() => nothing())
  const lines = found.words.map(([word, meaning]) => `${word}\t${meaning.split('\n', 1)[0]}`)
  context.out([...lines, `:${found.besides}`, ''].join('\n'))
  return 0
}

function patienceOf(text = ''): number {
  const seconds = Number(text)
  return seconds > 0 && seconds <= 600 ? seconds : PATIENCE
}

/** Options whose value is a file or a folder, by the name of their value. */
const FILES = /file|dir|folder|path|config|bundle/i

/** `words`: what stands behind `berth`, the last as far as it is typed, perhaps not at all. `berth`: all commands of the server. */
export async function complete(berth: Command, words: readonly string[], context: ClientContext): Promise<Completion> {
  const current = words.at(-1) ?? ''
  const before = words.slice(0, -1)
  const [first] = before
  if (first === undefined) return only(current, current.startsWith('-') ? optionsOf(berth) : firstWords(berth))
  // A noun of the server and a verb of the client: which one is said by the word behind it.
  const isOpen = first === 'tag' && before.length === 1
  const verb = isOpen ? undefined : verbOf(first, before[1] ?? ' ')
  const root = verb === undefined ? berth.commands.find((one) => isNamed(one, first)) : await load(verb, context)
  if (root === undefined) return nothing()
  const { command, operands, pending } = walk(root, before.slice(1))
  if (pending !== undefined) return await valueOfOption(pending, current)
  const joined = /^(--[\w-]+)=(.*)$/s.exec(current)
  if (joined !== null) {
    const option = command.options.find(({ long }) => long === joined[1])
    const found = option === undefined ? nothing() : await valueOfOption(option, joined[2] ?? '')
    return { ...found, words: found.words.map(([word, text]) => [`${joined[1]}=${word}`, text] as const) }
  }
  if (current.startsWith('-')) return only(current, optionsOf(command))
  const children = command.commands.filter((child) => !isHidden(child))
  if (children.length > 0 && operands === 0) {
    const found = only(
      current,
      children.map((child) => [child.name(), child.description()] as const),
    )
    return isOpen && found.words.length === 0
      ? await operandOf(await load('tag', context), 0, current, context, true)
      : found
  }
  const found = await operandOf(command, operands, current, context, verb !== undefined)
  // What the server's command takes, or a word that makes it the client's.
  const isEither = verb === undefined && before.length === 1 && Object.hasOwn(OF_NOUNS, first)
  if (!isEither) return found
  const own = (await load(first, context))?.commands ?? []
  const verbs = own.map((child) => [child.name(), child.description()] as const)
  return { ...found, words: [...only(current, verbs).words, ...found.words] }
}

async function load(verb: string, context: ClientContext): Promise<Command | undefined> {
  return (await VERBS[verb]?.load())?.(context)
}

/** From a command down to the one that is meant; `pending`: an option that waits for its value. */
function walk(root: Command, words: readonly string[]): { command: Command; operands: number; pending?: Option } {
  let command = root
  let operands = 0
  let pending: Option | undefined
  for (const word of words) {
    if (pending !== undefined) {
      pending = undefined
      continue
    }
    if (word.startsWith('-') && word !== '-') {
      const option = command.options.find(({ long, short }) => word === long || word === short)
      if (option?.required === true) pending = option
      continue
    }
    const child = operands === 0 ? command.commands.find((one) => isNamed(one, word)) : undefined
    if (child === undefined) operands++
    else command = child
  }
  return { command, operands, ...(pending === undefined ? {} : { pending }) }
}

async function valueOfOption(option: Option, current: string): Promise<Completion> {
  const choices = option.argChoices ?? CHOICES[option.long ?? '']
  if (choices !== undefined)
    return only(
      current,
      choices.map((choice) => [choice, ''] as const),
    )
  return nothing(FILES.test(option.flags.replace(/^.*</, '')) ? 'files' : 'nothing')
}

const CHOICES: Record<string, readonly string[]> = {
  '--format': ['table', 'json', 'ndjson'],
  '--platform': [
    'linux/amd64',
    'linux/arm64',
    'linux/arm/v7',
    'linux/386',
    'linux/ppc64le',
    'linux/riscv64',
    'linux/s390x',
    'windows/amd64',
  ],
}

async function operandOf(
  command: Command | undefined,
  index: number,
  current: string,
  context: ClientContext,
  isVerb: boolean,
): Promise<Completion> {
  const { registeredArguments: operands = [] } = command ?? {}
  const operand: Argument | undefined =
    operands[index] ?? (operands.at(-1)?.variadic === true ? operands.at(-1) : undefined)
  if (operand === undefined) return nothing()
  if (operand.argChoices !== undefined)
    return only(
      current,
      operand.argChoices.map((choice) => [choice, ''] as const),
    )
  if (isVerb && operand.name() === 'registry') return await completeRegistry(current, context)
  if (isVerb && /^(image|repository|before|after|src|dst|source|destination|subject)$/.test(operand.name())) {
    return await completeImage(current, context, operand.name() === 'repository' ? 'repositories' : 'images')
  }
  return nothing(FILES.test(operand.name()) ? 'files' : 'nothing')
}

function firstWords(berth: Command): (readonly [string, string])[] {
  const commands = berth.commands.filter((one) => !isHidden(one)).map((one) => [one.name(), one.description()] as const)
  const aliases = Object.entries(VERB_ALIASES).map(([alias, of]) => [alias, `the same as ${of}`] as const)
  return [...commands, ...aliases, ['help', 'say what a command does']]
}

function optionsOf(command: Command): (readonly [string, string])[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short, description }) => {
      const names = long === undefined || long === null ? [short] : [long]
      return names.flatMap((name) => (name == null ? [] : [[name, description] as const]))
    })
}

function only(current: string, words: readonly (readonly [string, string])[]): Completion {
  return { words: words.filter(([word]) => word.startsWith(current)), besides: 'nothing' }
}

function isNamed(command: Command, word: string): boolean {
  return command.name() === word || command.aliases().includes(word)
}

function isHidden(command: Command): boolean {
  return '_hidden' in command && command._hidden === true
}
