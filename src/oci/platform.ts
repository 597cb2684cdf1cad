import type { Platform } from './descriptor.ts'

/** `linux/arm64/v8` */
export function formatPlatform({ os, architecture, variant }: Platform): string {
  return [os ?? 'unknown', architecture ?? 'unknown', ...(variant ? [variant] : [])].join('/')
}

/** A variant counts where one is wanted. */
export function fitsPlatform(one: Platform, wanted: Platform): boolean {
  const isSame = one.os === wanted.os && one.architecture === wanted.architecture
  return isSame && (wanted.variant === undefined || one.variant === wanted.variant)
}

/** Two images of an index for these would be one too many. What is for nothing that runs (attestations) is never the same. */
export function isSamePlatform(one: Platform | undefined, other: Platform | undefined): boolean {
  if (one === undefined || other === undefined || one.os === 'unknown') return false
  return formatPlatform(one) === formatPlatform(other) && one['os.version'] === other['os.version']
}

/** What an image's configuration says that it is for; undefined where it does not. */
export function platformIn(config: Readonly<Record<string, unknown>> = {}): Platform | undefined {
  const { os, architecture, variant } = config
  if (typeof os !== 'string' || typeof architecture !== 'string' || os === '' || architecture === '') return undefined
  const version = config['os.version']
  return {
    ...{ architecture, os },
    ...(typeof variant === 'string' && variant !== '' ? { variant } : {}),
    ...(typeof version === 'string' ? { 'os.version': version } : {}),
  }
}
