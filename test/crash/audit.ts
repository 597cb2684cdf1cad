import { Database } from 'bun:sqlite'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { BlobEntry, Ledger, ManifestEntry, TagEntry } from './ledger.ts'

/** Bounds a request, so that a registry that hangs is found out. Milliseconds. */
const REQUEST_TIMEOUT = 90_000
/** Requests at a time. */
const PARALLEL = 8

/**
 * Compares a running registry with the ledger, and answers what is wrong, one sentence each: everything acknowledged
 * is there byte for byte; what is not acknowledged is there as a whole or not at all; lists agree with both.
 * `sample` picks what to look at; undefined: all.
 */
export async function audit(url: string, ledger: Ledger, sample?: <T>(entries: T[]) => T[]): Promise<string[]> {
  const faults: string[] = []
  const chosen = <T>(entries: ReadonlyMap<string, T>) => sample?.([...entries.values()]) ?? [...entries.values()]
  const work = [
    ...chosen(ledger.blobs).map((entry) => () => auditBlob(url, entry)),
    ...chosen(ledger.manifests).map((entry) => () => auditManifest(url, entry)),
    ...chosen(ledger.tags).map((entry) => () => auditTag(url, entry)),
    () => auditLists(url, ledger),
  ]
  const queue = work.values()
  const runners = Array.from({ length: PARALLEL }, async () => {
    for (const task of queue) faults.push(...(await task()))
  })
  await Promise.all(runners)
  return faults
}

async function auditBlob(url: string, { repository, blob, acknowledged }: BlobEntry): Promise<string[]> {
  const answer = await get(`${url}/v2/${repository}/blobs/${blob.digest}`)
  const name = `blob ${repository}@${blob.digest} (${blob.bytes.length} bytes)`
  if (answer.status === 404 && !acknowledged) return []
  if (answer.status !== 200) return [`${name}: ${answer.status}, acknowledged: ${acknowledged}`]
  return digestOf(answer.bytes) === blob.digest ? [] : [`${name}: has other bytes`]
}

async function auditManifest(url: string, { repository, image, acknowledged }: ManifestEntry): Promise<string[]> {
  const { digest, bytes } = image.manifest
  const answer = await get(`${url}/v2/${repository}/manifests/${digest}`)
  const name = `manifest ${repository}@${digest}`
  if (answer.status === 404 && !acknowledged) return []
  if (answer.status !== 200) return [`${name}: ${answer.status}, acknowledged: ${acknowledged}`]
  const faults = Buffer.from(answer.bytes).equals(bytes) ? [] : [`${name}: has other bytes`]
  for (const blob of [image.config, ...image.layers]) {
    const found = await auditBlob(url, { repository, blob, acknowledged: true })
    faults.push(...found.map((fault) => `${name} can be seen, but its ${fault}`))
  }
  return faults
}

async function auditTag(url: string, entry: TagEntry): Promise<string[]> {
  const { repository, tag, acknowledged, from } = entry
  const answer = await get(`${url}/v2/${repository}/manifests/${tag}`)
  if (answer.status === 404 && !acknowledged) return []
  if (answer.status !== 200) return [`tag ${repository}:${tag}: ${answer.status}, acknowledged: ${acknowledged}`]
  const digest = digestOf(answer.bytes)
  return entry.sent.includes(digest, from)
    ? []
    : [`tag ${repository}:${tag} points to ${digest}, which is not what was pushed last`]
}

async function auditLists(url: string, { tags }: Ledger): Promise<string[]> {
  // Pushes may go on meanwhile: what must be there was acknowledged before the list is asked for, what may be there is
  // whatever was sent before its answer.
  const must = [...tags.values()].filter(({ acknowledged }) => acknowledged)
  const listed = await names(`${url}/v2/_catalog?n=1000`, 'repositories')
  const may = [...tags.values()]
  const repositoriesOf = (entries: TagEntry[]) => [...new Set(entries.map(({ repository }) => repository))]
  const faults = compare('_catalog', listed, repositoriesOf(must), repositoriesOf(may))
  for (const repository of repositoriesOf(must)) {
    const tagsOf = (entries: TagEntry[]) =>
      entries.filter((entry) => entry.repository === repository).map(({ tag }) => tag)
    const found = await names(`${url}/v2/${repository}/tags/list?n=1000`, 'tags')
    faults.push(...compare(`tags of ${repository}`, found, tagsOf(must), tagsOf([...tags.values()])))
  }
  return faults
}

function compare(what: string, listed: string[], must: string[], may: string[]): string[] {
  const missing = must.filter((name) => !listed.includes(name))
  const strange = listed.filter((name) => !may.includes(name))
  return [
    ...missing.map((name) => `${what}: ${name} is missing`),
    ...strange.map((name) => `${what}: ${name} was never pushed`),
  ]
}

async function names(url: string, key: 'repositories' | 'tags'): Promise<string[]> {
  const { status, bytes } = await get(url)
  if (status === 404) return []
  const body: Record<string, unknown> = JSON.parse(Buffer.from(bytes).toString())
  const found = body[key]
  if (status !== 200 || !Array.isArray(found)) throw new Error(`${url}: ${status}`)
  return found.map(String)
}

async function get(url: string): Promise<{ status: number; bytes: Uint8Array }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT) })
  return { status: answer.status, bytes: await answer.bytes() }
}

/**
 * Looks into the data directory of a server that is stopped, and answers what is wrong, one sentence each: the database
 * is whole, every blob's row has its bytes, and every reference of a manifest that must hold does.
 */
export function auditDirectory(directory: string): string[] {
  const database = new Database(join(directory, 'berth.db'), { readonly: true })
  try {
    const faults: string[] = []
    const integrity = database.query<{ integrity_check: string }, []>('PRAGMA integrity_check').all()
    for (const row of integrity) if (row.integrity_check !== 'ok') faults.push(`database: ${row.integrity_check}`)
    const dangling = database.query<{ table: string; rowid: number }, []>('PRAGMA foreign_key_check').all()
    for (const row of dangling) faults.push(`row ${row.rowid} of ${row.table} refers to nothing`)
    const blobs = database.query<{ digest: Digest; storage_key: string; state: string }, []>(
      'SELECT digest, storage_key, state FROM blobs',
    )
    for (const { digest, storage_key, state } of blobs.all()) {
      const bytes = bytesOf(join(directory, storage_key))
      if (bytes === undefined) faults.push(`the ${state} row of blob ${digest} has no file ${storage_key}`)
      else if (digestOf(bytes) !== digest) faults.push(`${storage_key} has other bytes than ${digest}`)
    }
    const unlinked = database.query<{ digest: string }, []>(
      'SELECT digest FROM blobs WHERE digest NOT IN (SELECT digest FROM repository_blobs)',
    )
    for (const { digest } of unlinked.all()) faults.push(`blob ${digest} is in no repository`)
    const held = database.query<{ digest: string }, []>(
      `SELECT digest FROM manifest_references WHERE kind = 'blob'
       AND (manifest_id, digest) NOT IN (SELECT manifest_id, digest FROM manifest_blobs)`,
    )
    for (const { digest } of held.all()) faults.push(`a manifest does not hold its blob ${digest}`)
    return faults
  } finally {
    database.close()
  }
}

function bytesOf(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
