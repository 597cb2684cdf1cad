import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * The environment of a podman that keeps its locks in its own folders, as it does everything else: those of the machine are made by the first
 * podman that runs there, and of two that are the first at the same time one fails.
 */
export function podmanEnvironment(folder: string): Record<string, string> {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'containers.conf')
  writeFileSync(file, '[engine]\nlock_type = "file"\n')
  return { CONTAINERS_CONF: file }
}
