/** A system call as strace saw it. Of the two moments of a call, what happens between them is unknown to others. */
export interface SystemCall {
  thread: string
  name: string
  /** As strace prints them. */
  text: string
  /** What it returned; -1 for an error, or for a call that never ended. */
  result: number
  /** The path that strace gives a descriptor that is returned. */
  resultPath: string
}

export interface Moment {
  moment: 'begin' | 'end'
  call: SystemCall
}

const LINE = /^(\d+)\s+(.*)$/
const BEGIN = /^(\w+)\(/
const RESUMED = /^<\.\.\. (\w+) resumed>/
const RESULT = / = (-?\d+)(?:<([^>]*)>)?(?: .*)?$/
const UNFINISHED = ' <unfinished ...>'

/**
 * The moments in which system calls begin and end, in order, of a log that `strace -f -y -o FILE` wrote (strace(1)).
 * What is no system call (signals, exits) is left out.
 * @throws Error for a line that is none of all these.
 */
export function parseTrace(log: string): Moment[] {
  const moments: Moment[] = []
  const open = new Map<string, SystemCall>()
  for (const line of log.split('\n')) {
    if (line === '') continue
    const [, thread, rest] = LINE.exec(line) ?? []
    if (thread === undefined || rest === undefined) throw new Error(`not a line of strace's: ${line.slice(0, 200)}`)
    if (rest.startsWith('+++') || rest.startsWith('---')) continue
    const resumed = RESUMED.exec(rest)
    const call = resumed === null ? callOf(thread, rest) : open.get(thread)
    if (call === undefined) throw new Error(`a call ends that never began: ${line.slice(0, 200)}`)
    if (resumed === null) moments.push({ moment: 'begin', call })
    else call.text += rest.slice(resumed[0].length)
    if (resumed === null && rest.endsWith(UNFINISHED)) {
      call.text = call.text.slice(0, -UNFINISHED.length)
      open.set(thread, call)
      continue
    }
    open.delete(thread)
    // Only the end of the line is searched: the text before it may be of megabytes.
    const tail = call.text.slice(-5000)
    const result = RESULT.exec(tail)
    if (result === null) continue
    call.result = Number(result[1])
    call.resultPath = result[2] ?? ''
    call.text = call.text.slice(0, call.text.length - tail.length + result.index)
    moments.push({ moment: 'end', call })
  }
  return moments
}

function callOf(thread: string, text: string): SystemCall {
  const name = BEGIN.exec(text)?.[1]
  if (name === undefined) throw new Error(`not a system call: ${text.slice(0, 200)}`)
  return { thread, name, text: text.slice(name.length + 1), result: -1, resultPath: '' }
}

/** The descriptor that is a call's first argument, with its path. */
export function descriptorOf(call: SystemCall): { fd: number; path: string } | undefined {
  const found = /^(\d+)<([^>]*)>/.exec(call.text)
  return found === null ? undefined : { fd: Number(found[1]), path: found[2] ?? '' }
}

/** The strings among a call's arguments, as the bytes that they are. @throws Error for one that strace cut short. */
export function stringsOf(call: SystemCall): Buffer[] {
  const { text } = call
  const strings: Buffer[] = []
  for (let start = text.indexOf('"'); start !== -1; ) {
    let end = text.indexOf('"', start + 1)
    while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
    if (end === -1) throw new Error(`a string does not end: ${text.slice(start, start + 100)}`)
    if (text.startsWith('...', end + 1)) throw new Error(`strace cut a string of ${call.name} short`)
    strings.push(bytesOfText(text.slice(start + 1, end)))
    start = text.indexOf('"', end + 1)
  }
  return strings
}

/** The whole numbers after a call's last string or list: `..., 24, 4152)`. */
export function numbersAtEnd(call: SystemCall): number[] {
  const tail = /((?:, \d+)+)\)?$/.exec(call.text.slice(-200).trimEnd())?.[1] ?? ''
  return tail.split(', ').slice(1).map(Number)
}

function isEscaped(text: string, position: number): boolean {
  let slashes = 0
  while (text[position - 1 - slashes] === '\\') slashes++
  return slashes % 2 === 1
}

const ESCAPES: Record<string, number> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 }

function bytesOfText(text: string): Buffer {
  const bytes = Buffer.alloc(text.length)
  let length = 0
  for (let position = 0; position < text.length; position++) {
    let byte = text.charCodeAt(position)
    if (byte === 92) {
      const letter = text[++position] ?? ''
      if (letter === 'x') {
        byte = Number.parseInt(text.slice(position + 1, position + 3), 16)
        position += 2
      } else if (letter >= '0' && letter <= '7') {
        const octal = /^[0-7]{1,3}/.exec(text.slice(position, position + 3))?.[0] ?? ''
        byte = Number.parseInt(octal, 8)
        position += octal.length - 1
      } else byte = ESCAPES[letter] ?? Number.NaN
      if (Number.isNaN(byte)) throw new Error(`unknown escape \\${letter}`)
    }
    bytes[length++] = byte
  }
  return bytes.subarray(0, length)
}
