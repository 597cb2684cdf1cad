import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { version } from '../package.json' with { type: 'json' }
import { createWatch, type Watch } from './app-watch.ts'
import type { Config } from './config/config.ts'
import { createDebugServer } from './http/debug.ts'
import { type Listener, listen } from './http/listen.ts'
import { createProbes } from './http/probes.ts'
import type { OpenLog } from './run-files.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { createOtlpTracer, otlpFromEnvironment } from './telemetry/otlp.ts'

export interface OpenWatch {
  watch: Watch
  /** Undefined where the configuration names none. */
  debug: Listener | undefined
  /** After everything that is watched has ended. */
  close(): Promise<void>
}

/**
 * What looks at the program from outside, before there is anything to see: the debug server answers that it is starting while
 * data is opened and adopted. @throws Error with a text for the user when its address cannot be had
 */
export async function openWatch(config: Config, { log, count }: OpenLog, env = process.env): Promise<OpenWatch> {
  const { debug: wanted } = config.http
  const { options, warnings } = otlpFromEnvironment(env, version)
  for (const warning of warnings) log.warn(warning)
  const tracer =
    options &&
    createOtlpTracer(options, {
      failed: (error) => log.error('traces cannot be sent', { collector: options.url, error }),
      recovered: (lost) => log.info('traces can be sent again', { collector: options.url, lost }),
    })
  const watch = createWatch({ log, metered: wanted?.metricsPath !== undefined, tracer })
  const { health, lifecycle, metrics } = watch
  count(metrics)
  metrics.observed('counter', 'berth_trace_spans_dropped_total', 'Spans that could not be sent.', [], () =>
    tracer === undefined ? [] : [[[], tracer.dropped]],
  )
  if (wanted === undefined) return { watch, debug: undefined, close: async () => tracer?.close() }
  const { metricsPath, listen: address } = wanted
  const probes = createProbes({ health, lifecycle, telling: true })
  const debug = await listen({
    address,
    fetch: createDebugServer({ health, probes, metrics, metricsPath }),
    onError: (error) => log.error('request failed', { error }),
  })
  log.info(`debug server listening ${debug.url.replace(/^http:\/\//, '')}`)
  return {
    watch,
    debug,
    async close() {
      await tracer?.close()
      await debug.stop(0)
    },
  }
}

/** PEM files by what they are used for, as they are at a scrape. */
export function observeCertificates(
  metrics: Metrics,
  files: () => readonly (readonly [use: string, path: string | undefined])[],
): void {
  metrics.observed(
    'gauge',
    'berth_certificate_expiry_time_seconds',
    'When a certificate ends, since unix epoch in seconds.',
    ['use'],
    async () => {
      const ends = files().map(async ([use, path]): Promise<[string[], number][]> => {
        if (path === undefined) return []
        try {
          return [[[use], Date.parse(new X509Certificate(await readFile(path)).validTo) / 1000]]
        } catch {
          // Being replaced at this moment, or wrong: its use says so elsewhere.
          return []
        }
      })
      return (await Promise.all(ends)).flat()
    },
  )
}
