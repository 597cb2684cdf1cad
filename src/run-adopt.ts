import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { type App, systemClock } from './app.ts'
import {
  type AdoptionProgress,
  type AdoptionReport,
  adoptTree,
  hasTree,
  rehearseAdoption,
  type TreeFault,
  wordsFor,
} from './app-adoption.ts'
import { openData } from './app-data.ts'
import type { Config } from './config/config.ts'
import type { Log } from './telemetry/log.ts'
import { createReportFile } from './telemetry/report-file.ts'

export type { AdoptionProgress, AdoptionReport }
export { wordsFor as faultWords }

/** What came of an adoption, with some of each kind of fault. */
export interface Adoption extends AdoptionReport {
  examples: TreeFault[]
}

/** Faults of one kind that are told in full. */
const EXAMPLES = 3
/** Milliseconds between two lines of the log. */
const LOG_INTERVAL = 10_000

interface Wishes {
  verify: boolean
  onProgress: (progress: AdoptionProgress) => void
}

/**
 * `berth adopt`. Undefined when there is nothing to adopt.
 * @throws Error with a text for the user; nothing of what registry:2 left was changed then.
 */
export async function runAdoption(
  config: Config,
  wishes: Wishes & { dryRun: boolean; report: string | undefined },
): Promise<Adoption | undefined> {
  const directory = resolve(config.data.directory)
  if (!existsSync(directory)) throw new Error(`there is no directory ${directory}`)
  if (!hasTree(config)) return undefined
  const file = wishes.report === undefined ? undefined : createReportFile(wishes.report)
  const examples = createExamples()
  const onFault = (fault: TreeFault) => {
    examples.add(fault)
    file?.line(fault)
  }
  try {
    const report = wishes.dryRun
      ? await rehearseAdoption(config, systemClock, { ...wishes, onFault })
      : await adoptOwned(config, { ...wishes, onFault })
    if (report === undefined) return undefined
    file?.line(report)
    file?.finish()
    return { ...report, file: wishes.report ?? report.file, examples: examples.all() }
  } finally {
    file?.discard()
  }
}

async function adoptOwned(
  config: Config,
  wishes: Wishes & { onFault: (fault: TreeFault) => void },
): Promise<AdoptionReport | undefined> {
  const owned = await openData(config.data)
  try {
    return await adoptTree(config, { metadata: owned.metadata, now: systemClock.now }, wishes)
  } finally {
    await owned.close()
  }
}

/** The start of a server: adopts what is there before the registry answers. @throws Error with a text for the user. */
export async function adoptAtStart(
  app: Pick<App, 'isAdopting' | 'adopt'>,
  options: {
    log: Log
    onProgress?: ((progress: AdoptionProgress | undefined) => void) | undefined
    signal?: AbortSignal | undefined
  },
): Promise<void> {
  if (!app.isAdopting()) return
  const { log, signal } = options
  const onProgress = options.onProgress ?? loggedProgress(log)
  const examples = createExamples()
  log.info('registry:2 left images in the data directory: they are adopted now')
  const report = await app
    .adopt({ verify: false, onProgress, onFault: examples.add, signal })
    .finally(() => options.onProgress?.(undefined))
  if (report === undefined) return
  for (const { kind, path, detail } of examples.all()) {
    log.warn('adoption met a fault', { fault: kind, times: report.faults[kind], path, detail })
  }
  log.info('adoption is done', { ...report.found, renamed: report.retired, report: report.file })
}

function loggedProgress(log: Log): (progress: AdoptionProgress) => void {
  let told = systemClock.now()
  return ({ phase, done, total }) => {
    const now = systemClock.now()
    if (now - told < LOG_INTERVAL) return
    told = now
    log.info('adopting', { phase, done, total })
  }
}

function createExamples(): { add(fault: TreeFault): void; all(): TreeFault[] } {
  const kept = new Map<string, TreeFault[]>()
  return {
    add(fault) {
      const some = kept.get(fault.kind) ?? []
      if (some.length < EXAMPLES) some.push(fault)
      kept.set(fault.kind, some)
    },
    all: () => [...kept.values()].flat(),
  }
}
