import { openDraft } from '../../transfer/draft-file.ts'

/** Under its name there is the whole file, or what was there before. @throws UpstreamError */
export function saveFile(path: string, data: string | Uint8Array): void {
  const file = openDraft(path)
  file.write(typeof data === 'string' ? new TextEncoder().encode(data) : data)
  file.keep()
}

/** As `saveFile`, of bytes that come one after the other: one that fails leaves nothing. */
export async function saveStream(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const file = openDraft(path)
  try {
    for await (const chunk of chunks) file.write(chunk)
    file.keep()
  } finally {
    file.discard()
  }
}
