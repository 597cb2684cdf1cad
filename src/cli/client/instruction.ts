/** What docker's first builder wrote for all that is no RUN. */
const NOP = /^(?:\|\d+ .*?)?\/bin\/sh -c #\(nop\)\s+/s
/** `|2 A=1 B=2 /bin/sh -c …`: the arguments of a build come before its command. */
const WITH_ARGUMENTS = /^(?:RUN )?\|(\d+) (.*?)\/bin\/sh -c /s
const BUILDKIT = '# buildkit'
const KEYWORDS =
  /^(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)\b/

/** One step of an image's history as a line of a Dockerfile, or several. */
export function instructionOf(command: string): string {
  const whole = command.trim()
  const text = whole.endsWith(BUILDKIT) ? whole.slice(0, -BUILDKIT.length).trimEnd() : whole
  if (NOP.test(text)) return plain(text.replace(NOP, ''))
  const withArguments = WITH_ARGUMENTS.exec(text)
  if (withArguments !== null) return run(text.slice(withArguments[0].length))
  const shell = /^(?:RUN )?\/bin\/sh -c /.exec(text)
  if (shell !== null) return run(text.slice(shell[0].length))
  if (/^RUN\s/.test(text)) return run(text.slice(4))
  // What imported or squashed an image says so in words of its own.
  return KEYWORDS.test(text)
    ? plain(text)
    : text
        .split('\n')
        .map((line) => `# ${line}`)
        .join('\n')
}

/** Both builders write what was copied as a hash, which no build could find again. */
function plain(text: string): string {
  // A run of spaces is looked at from its first one alone: a stranger's may have millions.
  const line = text.replace(/(?<!\s)\s*\n\s*/g, ' ').trimEnd()
  const copied = /^(ADD|COPY)\s+(?:(?:file|dir|multi):[0-9a-f]{64})\s+in\s+(\S.*)$/s.exec(line)
  if (copied !== null) return `${copied[1]} <files> ${copied[2]}`
  return line.replace(/^EXPOSE map\[(.*)\]$/, (_, ports: string) => `EXPOSE ${ports.replaceAll(':{}', '')}`)
}

/** Where lines were joined, tabs are left of their indentation; lines that were not are those of a script in place. */
function run(script: string): string {
  const text = script.trim()
  if (!text.includes('\n')) return `RUN ${text.replace(/(?<! ) *\t+/g, ' \\\n    ')}`
  const mark = ['EOF', 'END_OF_RUN'].find((word) => !text.split('\n').includes(word)) ?? 'EOF_OF_RUN'
  return `RUN <<${mark}\n${text}\n${mark}`
}
