import { Command, InvalidArgumentError, Option } from 'commander'
import { rateOf } from '../config/resolve-verify.ts'
import type {
  FindingView,
  VerifyReportView,
  VerifyRunView,
  VerifyStatusView,
} from '../http/api/verification-schemas.ts'
import { show, tell } from './answer.ts'
import { type AdminContext, type AdminFlags, type Ask, adminOptions, ofProcess, withApi } from './control.ts'
import { CommandError } from './error.ts'
import { createProgressBar, type Terminal } from './progress.ts'
import { printable, printableJson } from './table.ts'
import { findingText, progressText, sumText, verifyStatusRows } from './verify-report.ts'

interface VerifyFlags extends Omit<AdminFlags, 'format'> {
  deep?: boolean
  repair?: boolean
  rate?: number
  format: 'table' | 'json' | 'ndjson'
}

/** Milliseconds between two looks at a run, and between two lines that tell how far it is where there is no terminal. */
const LOOK = 200
const TELL = 10_000
/** Findings that one question brings. */
const PAGE = 500

export function verifyCommand(context: AdminContext = ofProcess, terminal: Terminal = process.stderr): Command {
  const command = new Command('verify')
    .description(
      'look whether everything that the registry keeps is there and whole, while it serves or while it does not',
    )
    .option('--deep', 'hash every blob')
    .option('--repair', 'set right what can be; damaged blobs are moved aside, and the next push brings them back')
    .option('--rate <bytes>', 'bytes a second that --deep reads, such as 50MiB/s; 0 for as many as it can', parseRate)
    .option('--data <dir>', "the server's data directory")
    .option('--config <config.yml>', "the server's configuration file, which names the data directory")
    .option('--auth-config <file>', "the token server's configuration file, where the server has one")
    .addOption(
      new Option('--format <format>', 'table for people, json for one document, ndjson for a line of each finding')
        .choices(['table', 'json', 'ndjson'])
        .default('table'),
    )
    .action(async (flags: VerifyFlags) => {
      const { format, ...given } = flags
      await withApi(context, given, async (ask) => {
        const { run, findings } = await verify(context, terminal, ask, flags)
        if (format === 'json') context.out(printableJson(JSON.stringify({ run, findings }, undefined, 2)))
        if (format === 'table') context.out(sumText(run))
        if (run.state === 'failed')
          throw new CommandError(`the verification failed: ${run.error ?? 'see the log of the server'}`)
        if (run.state === 'stopped') throw new CommandError('the verification was stopped before its end')
        if (run.left > 0) context.setExitCode(1)
      })
    })

  adminOptions(command.command('status').description('what is known to be damaged, and how far the scrub is'))
    .option('--limit <n>', 'damaged blobs at most, up to 1000', '1000')
    .option('--last <digest>', 'only what comes after this one')
    .action(async (own: AdminFlags & { limit: string; last?: string }) => {
      const { limit, last } = own
      const flags = { ...own, ...givenTo(command) }
      await withApi(context, flags, async (ask) => {
        const answer = await ask<VerifyStatusView>('GET', '/verify', { query: { limit, last } })
        show(context, flags, answer, verifyStatusRows)
      })
    })
  adminOptions(command.command('stop').description('end the verification that is under way')).action(
    async (own: AdminFlags) => {
      const flags = { ...own, ...givenTo(command) }
      await withApi(context, flags, async (ask) => {
        tell(context, flags, await ask('DELETE', '/verify/runs/latest'), 'stopped')
      })
    },
  )
  return command
}

/** Options that both commands have are read by the outer one, wherever they stand. */
function givenTo(command: Command): Partial<AdminFlags> {
  const given = Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) === 'cli')
  return Object.fromEntries(given)
}

/** Begins a run, shows what it finds as it finds it, and waits for its end. */
async function verify(
  context: AdminContext,
  terminal: Terminal,
  ask: Ask,
  { deep = false, repair = false, rate, format }: VerifyFlags,
): Promise<{ run: VerifyRunView; findings: FindingView[] }> {
  const wanted = { deep, repair, ...(rate === undefined ? {} : { rate }) }
  const begun = (await ask<VerifyRunView>('POST', '/verify/runs', { body: wanted })).json
  const bar = createProgressBar('verify', terminal, context.now)
  const findings: FindingView[] = []
  let seen = 0
  let told = context.now()
  for (;;) {
    const query = { from: String(seen), limit: String(PAGE) }
    const { run, findings: page } = (await ask<VerifyReportView>('GET', '/verify/runs/latest', { query })).json
    if (run.id !== begun.id) throw new CommandError('another verification began meanwhile; see berth verify status')
    seen += page.length
    if (page.length > 0) bar.clear()
    for (const finding of page) {
      if (format === 'json') findings.push(finding)
      else if (format === 'ndjson') context.out(printableJson(JSON.stringify(finding)))
      else context.out(`${findingText(finding).map(printable).join('\n')}\n`)
    }
    if (run.state !== 'running' && page.length === 0) {
      bar.clear()
      return { run, findings }
    }
    const { done, total, bytes, totalBytes } = run.progress
    const isHashing = run.progress.step === 'blobs' && totalBytes !== null
    bar.show(isHashing ? bytes : done, isHashing ? totalBytes : (total ?? undefined), progressText(run))
    if (terminal.isTTY !== true && format === 'table' && context.now() - told >= TELL) {
      told = context.now()
      context.error(`${progressText(run)}\n`)
    }
    if (run.state === 'running' && page.length < PAGE) await new Promise((resolve) => setTimeout(resolve, LOOK))
  }
}

function parseRate(text: string): number {
  const rate = rateOf(text)
  if (rate !== undefined) return Math.floor(rate)
  throw new InvalidArgumentError('write bytes a second such as 50MiB/s, or 0 for as many as it can')
}
