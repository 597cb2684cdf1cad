import type { NoFile } from '../../rootfs/read-file.ts'
import { UpstreamError } from '../../upstream/error.ts'
import { formatImage, type ImageReference } from '../../upstream/reference.ts'
import { shellWord } from '../table.ts'

const REASONS: Record<NoFile, (wanted: string, at: string) => string> = {
  missing: (wanted, at) => (wanted === at ? `has no ${wanted}` : `has no ${wanted}: there is no ${at}`),
  directory: (wanted) => `has a directory at ${wanted}`,
  'not-directory': (wanted, at) => `has no ${wanted}: ${at} is no directory`,
  loop: (wanted) => `has no ${wanted}: its links lead in a circle`,
  special: (wanted) => `has a device or a pipe at ${wanted}, which holds nothing`,
}

/** Why an image has no such file; both paths are below its root. */
export function noFile(image: ImageReference, wanted: string, kind: NoFile, at: string): UpstreamError {
  const name = formatImage(image)
  const above = wanted.includes('/') ? ` ${shellWord(`/${wanted.slice(0, wanted.lastIndexOf('/'))}`)}` : ''
  return new UpstreamError(
    kind === 'missing' || kind === 'not-directory' ? 'not-found' : 'failed',
    `${name} ${REASONS[kind](`/${wanted}`, `/${at}`)}`,
    { hint: `berth files ${name}${kind === 'directory' ? ` ${shellWord(`/${wanted}`)}` : above}` },
  )
}
