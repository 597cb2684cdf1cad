/** A command line of Berth in a document. */
export interface DocCommand {
  line: number
  /** From the program's name on; what stands in square brackets is there, too. */
  words: string[]
  /** Between backquotes in a sentence, where arguments may be left out. */
  inProse: boolean
}

const PROGRAM = /^(?:\S*\/)?(berth|registry)$/
/** Words before a program that run it. */
const RUNNERS = new Set(['sudo', 'exec', 'time', 'ssh', 'client', 'if', '!', 'until', 'while', 'then', 'do', 'else'])

/** The command lines of Berth in a page of Markdown: those of blocks of shell, and those between backquotes. */
export function commandsIn(text: string): DocCommand[] {
  const found: DocCommand[] = []
  let block: string | undefined
  let joined = ''
  let start = 0
  for (const [index, line] of text.split('\n').entries()) {
    if (line.startsWith('```')) {
      block = block === undefined ? line.slice(3).trim() : undefined
      continue
    }
    if (block === undefined) {
      for (const [, span = ''] of line.matchAll(/`([^`]+)`/g)) {
        if (/[.…]{3}|…/.test(span)) continue
        found.push(...commandsOf(span, index + 1, true))
      }
      continue
    }
    if (block !== 'sh' && block !== 'shell' && block !== 'console') continue
    if (joined === '') start = index + 1
    joined += line.endsWith('\\') ? `${line.slice(0, -1)} ` : line
    if (line.endsWith('\\')) continue
    found.push(...commandsOf(joined, start, false))
    joined = ''
  }
  return found
}

function commandsOf(line: string, at: number, inProse: boolean): DocCommand[] {
  return pipelineOf(line).flatMap((words) => {
    let first = 0
    while (/^\w+=/.test(words[first] ?? '') || RUNNERS.has(words[first] ?? '')) first++
    const program = PROGRAM.exec(words[first] ?? '')?.[1]
    if (program === undefined || (words.length === first + 1 && inProse)) return []
    // `registry` alone is a word of every day.
    if (program === 'registry' && !['serve', 'garbage-collect'].includes(words[first + 1] ?? '')) return []
    return [{ line: at, words: [program, ...words.slice(first + 1)], inProse }]
  })
}

/** The commands of a line of shell, as words without their quotes; comments, redirections and brackets left out. */
function pipelineOf(line: string): string[][] {
  const commands: string[][] = [[]]
  const token =
    /\s+|(#.*)|(&&|\|\||[|;&()])|(\d?[<>]+&?\s*\S*)|((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|\$\([^)]*\)|[^\s|;&<>()"'\\])+)/y
  let before = ' '
  let last = 0
  while (last < line.length) {
    token.lastIndex = last
    const match = token.exec(line)
    if (match === null) break
    last = token.lastIndex
    const [whole, comment, separator, redirection, word] = match
    if (comment !== undefined && /\s/.test(before)) break
    before = whole.slice(-1)
    if (separator !== undefined) commands.push([])
    if (redirection !== undefined || word === undefined) continue
    const bare = word.replace(/^\[+|\]+$/g, '').replace(/"((?:\\.|[^"\\])*)"|'([^']*)'/g, '$1$2')
    if (bare !== '') commands.at(-1)?.push(bare)
  }
  return commands.filter((words) => words.length > 0)
}
