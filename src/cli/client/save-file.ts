import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { UpstreamError } from '../../upstream/error.ts'

/** Under its name there is the whole file, or what was there before. @throws Error with a text for the user */
export function saveFile(path: string, data: string | Uint8Array): void {
  const file = openDraft(path)
  try {
    file.write(typeof data === 'string' ? new TextEncoder().encode(data) : data)
    file.keep()
  } catch (error) {
    throw file.discard(error)
  }
}

/** As `saveFile`, of bytes that come one after the other: one that fails leaves nothing. */
export async function saveStream(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = openDraft(path)
  try {
    for await (const chunk of chunks) file.write(chunk)
    file.keep()
  } catch (error) {
    throw file.discard(error)
  }
}

function openDraft(path: string) {
  const draft = `${path}.${process.pid}.part`
  const cannot = (error: unknown) => {
    // Other errors are not about the file.
    if (!(error instanceof Error) || !('syscall' in error)) return error
    return new UpstreamError('failed', `cannot write ${path}: ${error.message}`, { cause: error })
  }
  let handle: number
  try {
    handle = openSync(draft, 'wx')
  } catch (error) {
    throw cannot(error)
  }
  return {
    write(bytes: Uint8Array) {
      for (let at = 0; at < bytes.byteLength; ) at += writeSync(handle, bytes, at)
    },
    keep() {
      closeSync(handle)
      renameSync(draft, path)
    },
    discard(error: unknown): unknown {
      try {
        closeSync(handle)
      } catch {
        // It is closed.
      }
      rmSync(draft, { force: true })
      return cannot(error)
    },
  }
}
