import type { AdminFlags } from './control.ts'
import { printable, shellWord } from './table.ts'

/**
 * The flags that led this command to its server, with a blank before them, for a command that it proposes: that one would look
 * for a server elsewhere without them. Empty where there are none.
 */
export function placeFlags({ data, config, authConfig }: AdminFlags): string {
  const flag = (name: string, value: string | undefined) =>
    value === undefined ? '' : ` --${name} ${shellWord(printable(value))}`
  return flag('data', data) + flag('config', config) + flag('auth-config', authConfig)
}
