/** Something wrong in the configuration: where it stands, which key, what is wrong, and what to do about it. */
export interface Problem {
  /** `config.yml:12`, the name of an environment variable, or a flag (`--addr`). */
  where: string
  /** `http.tls.key`, `acl[2].match.team`; empty when the problem is not one key's. */
  path: string
  message: string
  fix?: string
}

/** Gathers problems (which refuse the configuration) and warnings (which do not), each once. */
export interface Findings {
  readonly problems: Problem[]
  readonly warnings: Problem[]
  problem(problem: Problem): void
  warn(problem: Problem): void
  /** True when this very key has a problem already: a second one about it would only be a consequence. */
  refused(path: string): boolean
}

export function createFindings(): Findings {
  const problems: Problem[] = []
  const warnings: Problem[] = []
  const seen = new Set<string>()
  const refused = new Set<string>()
  const isNew = (severity: string, { where, path, message }: Problem): boolean => {
    const before = seen.size
    seen.add(JSON.stringify([severity, where, path, message]))
    return seen.size > before
  }
  return {
    problems,
    warnings,
    problem: (one) => {
      refused.add(one.path)
      if (isNew('problem', one)) problems.push(one)
    },
    warn: (one) => {
      if (isNew('warning', one)) warnings.push(one)
    },
    refused: (path) => refused.has(path),
  }
}

/** Problems and warnings as text for a terminal, one paragraph each, in the order of their places; '' when there is none. */
export function formatProblems(problems: readonly Problem[], warnings: readonly Problem[] = []): string {
  const lines = [
    ...inOrder(problems).map((one) => paragraph('error', one)),
    ...inOrder(warnings).map((one) => paragraph('warning', one)),
  ]
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

function paragraph(severity: string, { where, path, message, fix }: Problem): string {
  const head = [where, path === '' ? severity : `${severity}: ${path}`, message]
    .filter((part) => part !== '')
    .join(': ')
  return printable(fix === undefined ? head : `${head}\n    ${fix}`)
}

/** By file, then line; places without a line stay in the order in which they were found. */
function inOrder(problems: readonly Problem[]): Problem[] {
  const place = (one: Problem): { file: string; line: number } => {
    const match = /^(.*):(\d+)$/.exec(one.where)
    return { file: match?.[1] ?? one.where, line: Number(match?.[2] ?? 0) }
  }
  return problems
    .map((one) => ({ one, ...place(one) }))
    .sort((a, b) => (a.file === b.file ? a.line - b.line : 0))
    .map(({ one }) => one)
}

/** Control characters of somebody's file must not reach the terminal. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose.
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\ufffd')
}
