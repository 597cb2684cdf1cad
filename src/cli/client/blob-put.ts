import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { algorithmOf, type Digest, isDigest } from '../../oci/digest.ts'
import { orSay } from '../../transfer/draft-file.ts'
import { untilAborted } from '../../transfer/until-aborted.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference, parseImage } from '../../upstream/reference.ts'
import { formatBlob } from './blob-reference.ts'
import { connectionOptions } from './connection.ts'
import type { ClientContext } from './context.ts'
import { connectMover, type MoverFlags } from './mover.ts'
import { formatOption, lines, parseFormat, show } from './output.ts'
import { saveStream } from './save-file.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'
import { createMeter, meterOptions } from './transfer-meter.ts'

interface PutFlags extends MoverFlags {
  digest?: string
  format: string
}

export function blobPutCommand(context: ClientContext): Command {
  const command = new Command('put')
    .argument('<repository>', 'REPOSITORY, or REPOSITORY@DIGEST for a file that must have it')
    .argument('<file>', 'a file, or - for standard input')
    .description('store a file as a blob')
    .option('--digest <digest>', 'what the file must have, as REPOSITORY@DIGEST says')
  return formatOption(meterOptions(connectionOptions(command))).action(
    async (name: string, file: string, flags: PutFlags) => {
      const format = parseFormat(flags.format)
      const target = withDigest(parseImage(name), flags.digest)
      if (target.tag !== undefined) throw new UpstreamError('usage', `${formatImage(target)}: a blob has no tag`)
      const temporary = makeTemporaryFolder(context, 'blob')
      const meter = createMeter(context, flags)
      try {
        const path = file === '-' ? join(temporary.path, 'blob') : file
        if (file === '-') await saveStream(path, context.input())
        const blob = { ...target, ...(await measured(context, path, target)) }
        const { blobs } = connectMover(context, flags)
        if ((await blobs.head(target, blob.digest)) === undefined) {
          const row = meter.begin({ mediaType: 'application/octet-stream', ...blob })
          const open = (start: number) => Bun.file(path).slice(start, blob.size).stream()
          await blobs.put(target, { ...blob, open, onProgress: row.at })
          row.end('copied')
        }
        meter.clear()
        const reference = formatBlob(blob)
        show(context, format, { whole: { reference, digest: blob.digest, size: blob.size }, text: lines([reference]) })
      } finally {
        meter.clear()
        temporary.remove()
      }
    },
  )
}

/** @throws UpstreamError `usage` */
function withDigest(target: ImageReference, text: string | undefined): ImageReference {
  if (text === undefined) return target
  if (!isDigest(text)) throw new UpstreamError('usage', `--digest: ${JSON.stringify(text)} is no digest`)
  if (target.digest !== undefined && target.digest !== text) {
    throw new UpstreamError('usage', `${formatImage(target)} and --digest ${text} are two digests`)
  }
  return { ...target, digest: text }
}

/** @throws UpstreamError where it is no file, or another one than it must be */
async function measured(
  { signal }: ClientContext,
  path: string,
  { digest }: ImageReference,
): Promise<{ digest: Digest; size: number }> {
  mustBeFile(path)
  const algorithm = digest === undefined ? 'sha256' : algorithmOf(digest)
  const hash = createHash(algorithm)
  let size = 0
  for await (const chunk of untilAborted(Bun.file(path).stream(), signal)) {
    hash.update(chunk)
    size += chunk.byteLength
  }
  const found: Digest = `${algorithm}:${hash.digest('hex')}`
  if (digest !== undefined && found !== digest) {
    throw new UpstreamError('invalid', `${path} has the digest ${found}, not ${digest}`)
  }
  return { digest: found, size }
}

/** @throws UpstreamError */
function mustBeFile(path: string): void {
  const stat = orSay(path, () => statSync(path, { throwIfNoEntry: false }), 'read')
  if (stat === undefined) throw new UpstreamError('not-found', `there is no file ${path}`)
  if (stat.isFile()) return
  throw stat.isDirectory()
    ? new UpstreamError('usage', `${path} is a directory, and no file`, { hint: 'berth push sends a whole layout' })
    : new UpstreamError('usage', `${path} is a pipe or a device, and no file`, {
        hint: 'write - in its place, and send it to standard input',
      })
}
