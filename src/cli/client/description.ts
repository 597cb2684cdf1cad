import type { Digest } from '../../oci/digest.ts'
import type { Manifest } from '../../oci/manifest.ts'
import { isImageConfig } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import type { FetchedManifest } from '../../upstream/registry.ts'
import { shortDigests } from '../listing.ts'
import { bytesText, counted } from '../progress.ts'
import { formatTable, timeCell } from '../table.ts'
import { configFields, imageConfig } from './image-config.ts'
import type { View } from './output.ts'
import { formatSections } from './sections.ts'

/** The index that an image was chosen from. */
export interface ImageIndex {
  digest: Digest
  mediaType: string
  /** `os/architecture[/variant]` of its images. */
  platforms: readonly string[]
}

export interface Inspected {
  name: string
  fetched: FetchedManifest
  manifest: Manifest
  /** Its configuration, which may hold anything. */
  json: Record<string, unknown>
  index: ImageIndex | undefined
  /** Of its repository, where they were asked for. */
  repoTags: readonly string[] | undefined
}

/** One image in all forms. `room`: columns of the terminal; undefined: there is none. */
export function describeImage({ name, fetched, manifest, json, index, repoTags }: Inspected, room?: number): View {
  const { layers, config, annotations = {}, artifactType, subject } = manifest
  const { digest, mediaType } = fetched
  const size = [...layers, ...(config ? [config] : [])].reduce((sum, one) => sum + one.size, fetched.bytes.byteLength)
  const created = typeof json.created === 'string' ? json.created : null
  const platform = typeof json.os === 'string' ? formatPlatform(json as { os: string }) : null
  const { labels, ...runs } = imageConfig(json)
  const isArtifact = !isImageConfig(artifactType ?? '')
  const others = index?.platforms.filter((one) => one !== platform) ?? []
  const more = others.length === 0 ? '' : ` (there is ${others.join(', ')}, too: --platform)`
  const [os = null, architecture = null] = platform === null ? [] : platform.split('/')
  return {
    whole: {
      ...{ name, digest, mediaType, artifactType: artifactType ?? null, index: index ?? null },
      ...{ platform, os, architecture, created, size, subject: subject?.digest ?? null },
      layers: layers.map((one) => ({ digest: one.digest, size: one.size, mediaType: one.mediaType })),
      ...{ ...runs, labels, annotations, ...(repoTags === undefined ? {} : { repoTags }) },
    },
    text: formatSections(
      [
        {
          // No name is longer than seven signs: a digest beside it has 80 columns.
          fields: [
            ['Name', name],
            ['Digest', digest],
            ['Index', index?.digest],
            ['Type', mediaType],
            ['Content', isArtifact ? artifactType : undefined],
            ['OS/Arch', platform === null ? undefined : `${platform}${more}`],
            ['Created', created === null ? undefined : timeCell(created)],
            ['Author', runs.author ?? undefined],
            ['Size', `${bytesText(size)} in ${counted(layers.length, isArtifact ? 'blob' : 'layer')}`],
            ['Subject', subject?.digest],
          ],
        },
        { title: 'Configuration', fields: configFields({ ...runs, labels }) },
        { title: 'Environment', lines: runs.env },
        { title: 'Labels', lines: assignments(labels) },
        { title: 'Annotations', lines: assignments(annotations) },
        { title: isArtifact ? 'Blobs' : 'Layers', lines: layerLines(layers, room !== undefined) },
        { title: 'Tags', lines: repoTags ?? [] },
      ],
      room,
    ),
  }
}

function assignments(values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values).map(([name, value]) => `${name}=${value}`)
}

/** The lowest first. */
function layerLines(layers: Manifest['layers'], isShort: boolean): string[] {
  const table = formatTable(
    layers.map(({ digest, size, mediaType }) =>
      isShort
        ? [shortDigests(digest), bytesText(size), mediaType.replace(/^application\//, '')]
        : [digest, bytesText(size), mediaType],
    ),
  )
  return table.split('\n').filter((line) => line !== '')
}
