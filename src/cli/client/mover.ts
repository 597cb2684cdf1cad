import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Step } from '../../transfer/copy.ts'
import { createUpstream, type Upstream } from '../../upstream/upstream.ts'
import type { Listing } from '../listing.ts'
import { bytesText, counted } from '../progress.ts'
import { type ConnectionFlags, upstreamOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { type MeterFlags, meterOptions } from './transfer-meter.ts'
import { uploadMemory } from './upload-memory.ts'

/** Flags of the verbs that move images. */
export interface MoverFlags extends ConnectionFlags, MeterFlags {
  jobs: number
}

/** Blobs at a time, unless told. */
const JOBS = 4

export function moverOptions(command: Command): Command {
  return meterOptions(command).addOption(
    new Option('-j, --jobs <n>', 'blobs at a time').argParser(parseJobs).default(JOBS),
  )
}

/** A client whose reads count as pulls, and whose uploads go on in the next run. @throws UpstreamError `usage` */
export function connectMover(context: ClientContext, flags: ConnectionFlags): Upstream {
  return createUpstream({
    ...upstreamOptions(context, flags),
    looking: false,
    uploads: uploadMemory(context.env, context.home, context.now),
  })
}

/** `3 blobs copied (1.2 MiB), 1 mounted, 4 there already` */
export function summaryOf(steps: readonly Step[]): string {
  const blobs = steps.filter(({ kind }) => kind === 'blob')
  const of = (action: Step['action']) => blobs.filter((step) => step.action === action)
  const copied = of('copied')
  const bytes = copied.reduce((sum, { size }) => sum + size, 0)
  const parts = [`${counted(copied.length, 'blob')} copied (${bytesText(bytes)})`]
  if (of('mounted').length > 0) parts.push(`${of('mounted').length} mounted`)
  if (of('skipped').length > 0) parts.push(`${of('skipped').length} there already`)
  return parts.join(', ')
}

/** What is done with each part; of a dry run. */
export function stepListing(steps: readonly Step[]): Listing {
  const words = { copied: 'copy', mounted: 'mount', skipped: 'skip' }
  const rows = steps.map(({ kind, digest, size, action, platform, tag }) => [
    words[action],
    kind,
    tag ?? digest,
    kind === 'tag' ? '-' : bytesText(size),
    platform ?? '-',
  ])
  return { titles: ['ACTION', 'KIND', 'WHAT', 'SIZE', 'PLATFORM'], rows, empty: 'There is nothing to do.' }
}

function parseJobs(text: string): number {
  if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError('It must be a number from 1 to 99.')
  return Number(text)
}

/** For `--format` of the verbs that read and write archives. It says nothing of what is printed, as other verbs' does. */
export function parseArchive(forms: readonly string[]): (text: string) => string {
  return (text) => {
    if (forms.includes(text)) return text
    throw new InvalidArgumentError(
      `Of this verb it is the form of the archive: ${forms.join(', ')}. What is printed is a name with its digest.`,
    )
  }
}
