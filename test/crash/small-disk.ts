import { expect } from 'bun:test'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeImage, type TestImage } from '../image.ts'
import { must, run } from '../programs.ts'
import type { Ledger } from './ledger.ts'

const LAYER_BYTES = 1_200_000
const MOST_PUSHES = 40

/** Only root may mount. */
export const isRoot = process.getuid?.() === 0

/** A disk that is soon full. */
export interface SmallDisk {
  path: string
  /** Mounts it anew with these options. */
  remount(options: string): Promise<void>
  remove(): Promise<void>
}

/** @param size as tmpfs takes it: `24m` */
export async function mountSmallDisk(size: string): Promise<SmallDisk> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-disk-'))
  const path = join(folder, 'disk')
  mkdirSync(path)
  await must(['mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
  return {
    path,
    async remount(options) {
      await must(['mount', '-o', `remount,${options}`, path])
    },
    async remove() {
      await run(['umount', path])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Takes `size` bytes of the disk, or all that is left. */
export function fill(path: string, size = Number.POSITIVE_INFINITY): void {
  const block = Buffer.alloc(4096)
  const file = openSync(path, 'w')
  try {
    for (let written = 0; written < size; written += block.length) writeSync(file, block)
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error
    expect(statfsSync(path).bavail).toBe(0)
  } finally {
    closeSync(file)
  }
}

export async function pushUntilRefused(url: string, repository: string, ledger: Ledger): Promise<Response> {
  for (let count = 0; count < MOST_PUSHES; count++) {
    const refused = await push(url, repository, ledger, String(count))
    if (refused !== undefined) return refused
  }
  throw new Error('the disk does not fill up')
}

/** Pushes an image; answers the first answer that does not take it. */
export async function push(
  url: string,
  repository: string,
  ledger: Ledger,
  name: string,
): Promise<Response | undefined> {
  const image = makeImage({ seed: name, layers: [LAYER_BYTES, 100] })
  for (const blob of [image.config, ...image.layers]) {
    const started = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
    if (started.status !== 202) return started
    const acknowledge = ledger.sendBlob(repository, blob)
    const session = started.headers.get('location')
    const answer = await fetch(`${session}?digest=${blob.digest}`, { method: 'PUT', body: blob.bytes })
    if (answer.status !== 201) return answer
    acknowledge()
  }
  const acknowledge = ledger.sendManifest(repository, name, image)
  const answer = await putManifest(url, repository, image, name)
  if (answer.status !== 201) return answer
  acknowledge()
  return undefined
}

export function putManifest(url: string, repository: string, { manifest }: TestImage, tag: string): Promise<Response> {
  const headers = { 'Content-Type': manifest.mediaType }
  return fetch(`${url}/v2/${repository}/manifests/${tag}`, { method: 'PUT', headers, body: manifest.bytes })
}
