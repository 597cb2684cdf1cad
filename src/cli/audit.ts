import { Command, Option } from 'commander'
import type { AuditView } from '../http/api/schemas.ts'
import { emptyText, type ListFlags, showList } from './answer.ts'
import { type AdminContext, listOptions, ofProcess, withApi } from './control.ts'
import type { Listing } from './listing.ts'
import { timeCell } from './table.ts'

interface AuditFlags extends ListFlags {
  account?: string
  kind?: string
  outcome?: string
  limit: string
  before?: string
}

const OUTCOMES = ['granted', 'partial', 'denied', 'refused', 'done', 'failed']

export function auditCommand(context: AdminContext = ofProcess): Command {
  return listOptions(new Command('audit').description('list decisions and changes, the newest first'))
    .option('--account <account>', 'of this account alone')
    .addOption(new Option('--kind <kind>', 'of this kind alone').choices(['token', 'sign-in', 'change']))
    .addOption(new Option('--outcome <outcome>', 'with this outcome alone').choices(OUTCOMES))
    .option('--limit <n>', 'rows at most, up to 1000', '100')
    .option('--before <id>', 'only what came before this one')
    .action(async (flags: AuditFlags) => {
      const { account, kind, outcome, limit, before } = flags
      await withApi(context, flags, async (ask) => {
        const answer = await ask<AuditView>('GET', '/audit', { query: { account, kind, outcome, limit, before } })
        const conditions = [account, kind, outcome, before]
        showList(context, flags, answer, (json) => auditListing(json, conditions))
      })
    })
}

function auditListing({ entries }: AuditView, conditions: readonly unknown[]): Listing {
  const rows = entries.map((entry) => [
    timeCell(entry.at),
    entry.kind,
    entry.account || '-',
    entry.source || '-',
    entry.address || '-',
    entry.outcome,
    entry.asked || '-',
    entry.granted || '-',
    entry.rules || '-',
    entry.detail,
  ])
  return {
    titles: ['TIME', 'KIND', 'ACCOUNT', 'SOURCE', 'FROM', 'OUTCOME', 'ASKED', 'GRANTED', 'RULES', 'DETAIL'],
    ...{ rows, spare: ['DETAIL', 'GRANTED', 'FROM', 'SOURCE', 'RULES'] },
    empty: emptyText('Nothing was decided or changed yet.', conditions),
  }
}
