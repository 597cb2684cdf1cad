import { Command } from 'commander'
import type { RunView } from '../http/api/collection-schemas.ts'
import { type AdminContext, ofProcess, withApi } from './control.ts'
import { CommandError } from './error.ts'
import { collect } from './gc.ts'

interface Flags {
  dryRun?: true
  deleteUntagged?: true
  quiet?: true
}

/**
 * `registry garbage-collect CONFIG`: the original's flags and lines (registry/storage/garbagecollect.go). The collection is the
 * online one: safe while a server runs, which then does it. What a deletion freed goes at once, as there. Its lines on what it
 * marks are left out, for nothing is marked: that would cost as much as the registry is large.
 */
export function garbageCollectCommand(
  pathOf: (argument: string | undefined) => string,
  context: AdminContext = ofProcess,
) {
  return new Command('garbage-collect')
    .description('`garbage-collect` deletes layers not referenced by any manifests')
    .argument('[config]', 'configuration file')
    .option('-d, --dry-run', 'do everything except remove the blobs')
    .option('-m, --delete-untagged', 'delete manifests that are not currently referenced via tag')
    .option('-q, --quiet', 'silence output')
    .action(async (argument: string | undefined, { dryRun, deleteUntagged, quiet }: Flags) => {
      await withApi(context, { config: pathOf(argument) }, async (ask) => {
        const wanted = { now: true, dryRun: dryRun === true, untagged: deleteUntagged === true }
        const run = await collect(ask, wanted)
        if (run.state === 'failed') throw new CommandError(`failed to garbage collect: ${run.error ?? 'see the log'}`)
        if (quiet !== true) context.out(linesOf(run))
        if (run.failures > 0) throw new CommandError(`${run.failures} candidates were put off; the log says why`)
      })
    })
}

function linesOf({ blobs, manifests, listed }: RunView): string {
  return [
    '',
    `${blobs.count} blobs and ${manifests.count} manifests eligible for deletion`,
    ...listed.manifests.map(({ digest }) => `manifest eligible for deletion: ${digest}`),
    ...listed.blobs.map(({ digest }) => `blob eligible for deletion: ${digest}`),
    '',
  ].join('\n')
}
