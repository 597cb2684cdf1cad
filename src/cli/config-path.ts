import { existsSync } from 'node:fs'

/** Where the official images of registry 2 (and Debian's package) and of registry 3 have their configuration. */
export const DEFAULT_PATHS = ['/etc/docker/registry/config.yml', '/etc/distribution/config.yml'] as const

export interface ChosenPath {
  path: string | undefined
  /** What to tell the user about the choice. */
  note: string | undefined
}

/**
 * The configuration file of a command: its argument, else REGISTRY_CONFIGURATION_PATH. Compose files name the place where one
 * version of the official image has its file; where only the other version's is there, that one is meant.
 */
export function choosePath(
  argument: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
  exists: (path: string) => boolean = existsSync,
): ChosenPath {
  const path = argument ?? (env.REGISTRY_CONFIGURATION_PATH || undefined)
  if (path === undefined || exists(path)) return { path, note: undefined }
  const defaults: readonly string[] = DEFAULT_PATHS
  const other = defaults.includes(path) ? defaults.find((one) => one !== path && exists(one)) : undefined
  if (other === undefined) return { path, note: undefined }
  return { path: other, note: `there is no ${path}; ${other} is used in its place` }
}

/** The file of an official image, for a command that was given none. */
export function defaultPath(exists: (path: string) => boolean = existsSync): string | undefined {
  return DEFAULT_PATHS.find(exists)
}
