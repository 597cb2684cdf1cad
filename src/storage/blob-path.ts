import { type Digest, isDigest } from '../oci/digest.ts'
import { BLOBS_ROOT, pathOf } from './distribution-path.ts'
import { StorageError } from './storage.ts'

/**
 * `data`, or `data.<generation>` where the collector holds `data`. A generation has no dot, which tells it from
 * the `data.<uuid>.tmp` that distribution leaves behind when it is interrupted.
 */
const FILE_NAME = /^data(?:\.[A-Za-z0-9_-]+)?$/
const GENERATION = /^[A-Za-z0-9_-]{1,64}$/

/**
 * The first key of the digest that is not to be avoided.
 * @throws StorageError `failed` when `newGeneration` gives nothing that can be used.
 */
export function freshKey(digest: Digest, avoid: readonly string[], newGeneration: () => string): string {
  const plain = pathOf({ kind: 'blob', digest })
  if (!avoid.includes(plain)) return plain
  for (let attempt = 0; attempt < 100; attempt++) {
    const generation = newGeneration()
    if (!GENERATION.test(generation)) break
    const key = `${plain}.${generation}`
    if (!avoid.includes(key)) return key
  }
  throw new StorageError('failed', `no fresh key for ${digest}`)
}

export function isBlobFileName(name: string): boolean {
  return FILE_NAME.test(name)
}

/** Whether `blobs/<algorithm>/<shard>/<hex>` is a folder of a digest that Berth can store. */
export function isBlobFolder(algorithm: string, shard: string, hex: string): boolean {
  return isDigest(`${algorithm}:${hex}`) && hex.startsWith(shard) && shard.length === 2
}

/** Whether `key` names a blob's file: everything else could leave the directory, or hit what is not a blob. */
export function isBlobKey(key: string): boolean {
  if (!key.startsWith(`${BLOBS_ROOT}/`)) return false
  const [algorithm, shard, hex, name, ...more] = key.slice(BLOBS_ROOT.length + 1).split('/')
  if (algorithm === undefined || shard === undefined || hex === undefined || name === undefined) return false
  return more.length === 0 && isBlobFolder(algorithm, shard, hex) && isBlobFileName(name)
}
