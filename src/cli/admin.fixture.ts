import type { Command } from 'commander'
import { CommanderError } from 'commander'
import { OPERATOR } from '../auth/administration.ts'
import { loadConfig } from '../config/load.ts'
import { openApi } from '../http/api/api.fixture.ts'
import type { AdminContext } from './control.ts'
import { CommandError } from './error.ts'

/** What the flags name does not matter to rows in memory. */
const { config: CONFIG } = loadConfig({ env: {}, flags: { data: '/data' } })

export interface Ran {
  out: string
  error: string
  code: number
}

/** Commands on the API over rows in memory, as a shell would see them. */
export async function openShell(
  options: { password?: string; answer?: string; columns?: number; api?: Parameters<typeof openApi>[0] } = {},
) {
  const opened = await openApi(options.api)
  let open = 0

  /** Runs one command line. Ids and secrets, which are random, are written as `ID` and `SECRET`. */
  async function run(make: (context: AdminContext) => Command, ...args: string[]): Promise<Ran> {
    const ran: Ran = { out: '', error: '', code: 0 }
    const context: AdminContext = {
      configOf: () => {
        if (CONFIG === undefined) throw new CommandError('there is no configuration')
        return CONFIG
      },
      async open() {
        open++
        return {
          isServer: false,
          fetch: (request) => opened.api(request, { caller: { ...OPERATOR, admin: true } }),
          close: async () => void open--,
        }
      },
      out: (text) => {
        ran.out += text
      },
      error: (text) => {
        ran.error += text
      },
      setExitCode: (code) => {
        ran.code = code
      },
      async readPassword(prompt) {
        if (options.password === undefined) throw new CommandError('no password on standard input')
        ran.error += `${prompt}\n`
        return options.password
      },
      async ask(question) {
        ran.error += `${question}\n`
        return options.answer
      },
      now: opened.now,
      columns: options.columns,
    }
    try {
      const command = make(context)
      for (const one of [command, ...command.commands]) {
        one.exitOverride().configureOutput({
          writeOut: context.out,
          writeErr: context.error,
        })
      }
      await command.parseAsync(args, { from: 'user' })
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof CommanderError)) throw error
      ran.code = error instanceof CommandError ? error.exitCode : 2
      if (error instanceof CommandError) {
        ran.error += `berth: ${error.message}\n${error.hint === undefined ? '' : `Hint: ${error.hint}\n`}`
      }
    }
    if (open !== 0) throw new Error('the control was left open')
    return { ...ran, out: ran.out.replace(/berth_[pr]\w{49}/g, 'SECRET') }
  }

  return { ...opened, run }
}
