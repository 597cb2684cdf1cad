import type { Running } from '../run.ts'
import { shellWord } from './table.ts'
import { VERSION } from './version.ts'

/**
 * What somebody who starts it for the first time needs next. `command` is how the program was called. Only on a terminal
 * does it show a password: elsewhere it is the beginning of a log, which others may read.
 */
export function banner(running: Running, { command, terminal }: { command: string; terminal: boolean }): string {
  const { registry, tokens, debug, data, admin, open, authority } = running
  const lines = [`Berth ${VERSION} listening on ${registry.url}${everywhere(registry.everywhere)}`]
  if (tokens !== undefined) lines.push(`token server listening on ${tokens.url}/auth${everywhere(tokens.everywhere)}`)
  if (debug !== undefined) lines.push(`debug server on ${debug.url}${everywhere(debug.everywhere)}`)
  lines.push(`data in ${data}`)
  if (authority !== undefined) {
    lines.push('TLS by an authority of its own, with the SHA-256 fingerprint', `  ${authority}`)
    lines.push('  clients trust it by the files of:')
    const operand = `--data ${shellWord(data)}${addressFlag(registry)}`
    lines.push(...folded(`${shellWord(command)} cert trust`, operand))
  }
  if (open) {
    lines.push('WARNING: no authentication is configured:', '  whoever reaches this address may push and delete')
  }
  if (admin !== undefined && registry.port !== undefined) {
    const host = registry.url.replace(/^https?:\/\//, '')
    lines.push('')
    if (terminal && admin.password !== undefined)
      lines.push(`The user admin was made, with the password ${admin.password}`)
    if (admin.passwordFile === undefined) lines.push(`  docker login --username admin ${host}`)
    else {
      const login = `docker login --username admin --password-stdin ${host}`
      lines.push('The password of admin is in this file until you change it:', '')
      lines.push(`  ${admin.passwordFile}`)
      lines.push(...folded(`${shellWord(command)} user passwd admin`, `--data ${shellWord(data)}`))
      lines.push('', 'To begin:', '', ...folded(login, `< ${shellWord(admin.passwordFile)}`))
    }
    lines.push(`  docker tag hello-world ${host}/hello-world`, `  docker push ${host}/hello-world`, '')
  }
  return `${lines.join('\n')}\n`
}

/** Columns of the terminals that people have at least. */
const COLUMNS = 80

/** A command on one line, or, where that is too long, on two that a shell takes for one. */
function folded(command: string, operand: string): string[] {
  const line = `  ${command} ${operand}`
  return line.length <= COLUMNS ? [line] : [`  ${command} \\`, `    ${operand}`]
}

/** Where `cert trust` would not guess it. */
function addressFlag({ url, port, everywhere }: Running['registry']): string {
  if (port === undefined) return ''
  if (!everywhere) return ` --addr ${shellWord(url.replace(/^https?:\/\//, ''))}`
  return port === 5000 ? '' : ` --addr :${port}`
}

function everywhere(is: boolean): string {
  return is ? ' (and on every other address of this machine)' : ''
}
