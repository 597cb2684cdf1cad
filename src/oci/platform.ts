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
