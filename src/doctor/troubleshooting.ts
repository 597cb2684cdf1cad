import { ERROR_TEXTS, type ErrorText } from './error-texts.ts'
import { MEANINGS } from './finding.ts'

/** docs/troubleshooting.md. */
export function troubleshootingMarkdown(): string {
  return `# Troubleshooting

<!-- Made by: berth doctor explain --format markdown. -->

This page leads from an error text to its cause and what to do. \`berth doctor explain 'TEXT'\` finds it here; \`berth doctor explain -\` reads a log from
standard input. \`berth doctor\` finds most of it by itself, from a client (\`berth doctor HOST:PORT\`, or an image there), on the server's machine
(\`berth doctor --config config.yml --auth-config auth_config.yml\`), or both at once; it works for Berth, and for \`registry:2\` and 3 with \`docker_auth\` or another token
server. [cli.md](cli.md#doctor) has its flags.

## Error texts
${ERROR_TEXTS.map(section).join('\n')}
## What \`berth doctor\` finds
Each finding has a severity, an id that stays, what it is about, an explanation, and \`fix:\` lines. The exit code is 1 where one of them is a fault.

| id | meaning |
|---|---|
${Object.entries(MEANINGS)
  .map(([id, meaning]) => `| \`${id}\` | ${meaning} |\n`)
  .join('')}`
}

function section({ texts, seen, cause, remedy, finds }: ErrorText): string {
  const [first, ...others] = texts
  const more = others.length === 0 ? '' : `Also: ${others.map(code).join(', ')}\n\n`
  const ids = finds.length === 0 ? '' : `\`berth doctor\` calls it ${finds.map(code).join(', ')}.\n`
  return `### ${code(first)}
${more}Said by ${seen}.

${cause}

${remedy.map((line) => `* ${code(line)}\n`).join('')}${ids === '' ? '' : `\n${ids}`}`
}

const code = (text: string): string => (text.includes('`') ? text : `\`${text}\``)
