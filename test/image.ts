import { createCipheriv } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Descriptor, Platform } from '../src/oci/descriptor.ts'
import { type Digest, digestOf, hexOf } from '../src/oci/digest.ts'
import { MEDIA_TYPES } from '../src/oci/media-type.ts'
import type { Docker } from './dockerd.ts'
import { must, program } from './programs.ts'

export interface Content {
  mediaType: string
  digest: Digest
  bytes: Uint8Array<ArrayBuffer>
}

export interface TestImage {
  config: Content
  layers: Content[]
  manifest: Content
  platform: Platform
}

export interface TestIndex {
  images: TestImage[]
  manifest: Content
}

export interface ImageOptions {
  /** Bytes of the one file in each layer; the layer is its tar in an uncompressed gzip, so about 2 KiB larger. */
  layers: readonly number[]
  /** Same seed, same bytes. */
  seed: string
  format?: 'oci' | 'docker'
  platform?: Platform
  annotations?: Record<string, string>
}

/** `size` incompressible bytes, the same for the same seed. */
export function noise(size: number, seed: string): Uint8Array<ArrayBuffer> {
  const key = Buffer.from(hexOf(digestOf(Buffer.from(seed))), 'hex')
  const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return new Uint8Array(stream.update(Buffer.alloc(size)))
}

/** An image that clients can pull: OCI image manifest (or Docker's), config, and gzip layers with a file each. */
export function makeImage(options: ImageOptions): TestImage {
  const {
    layers: sizes,
    seed,
    format = 'oci',
    platform = { architecture: 'amd64', os: 'linux' },
    annotations,
  } = options
  const types =
    format === 'oci'
      ? {
          manifest: MEDIA_TYPES.ociManifest,
          config: 'application/vnd.oci.image.config.v1+json',
          layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
        }
      : {
          manifest: MEDIA_TYPES.dockerManifest,
          config: 'application/vnd.docker.container.image.v1+json',
          layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
        }
  const archives = sizes.map((size, index) => tarOf(`layer-${index}`, noise(size, `${seed}/${index}`)))
  const layers = archives.map((bytes) => content(types.layer, new Uint8Array(gzipSync(bytes, { level: 0 }))))
  const config = json(types.config, {
    ...platform,
    config: { Labels: { seed } },
    rootfs: { type: 'layers', diff_ids: archives.map((bytes) => digestOf(bytes)) },
    history: sizes.map((_, index) => ({ created: '2020-01-01T00:00:00Z', created_by: `layer ${index}` })),
  })
  const manifest = json(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
    ...(annotations === undefined ? {} : { annotations }),
  })
  return { config, layers, manifest, platform }
}

/** A layer of an artifact that is a file, as ORAS keeps it. */
export interface ArtifactFile {
  name?: string
  bytes: Uint8Array
  type?: string
}

/**
 * OCI Image Specification 1.1, "Guidelines for Artifact Usage": an artifact that may refer to a subject, with these files, else one layer
 * that has no name.
 */
export function makeArtifact(options: {
  seed: string
  artifactType: string
  subject?: Content
  annotations?: Record<string, string>
  files?: readonly ArtifactFile[]
}): TestImage {
  const { seed, artifactType, subject, annotations } = options
  const files: readonly ArtifactFile[] = options.files ?? [{ bytes: Buffer.from(seed) }]
  const config = content(MEDIA_TYPES.ociEmpty, new Uint8Array(Buffer.from('{}')))
  const layers = files.map(({ bytes, type = 'text/plain' }) => content(type, new Uint8Array(bytes)))
  const titled = (layer: Content, index: number) => {
    const name = files[index]?.name
    const title = { annotations: { 'org.opencontainers.image.title': name } }
    return { ...descriptorOf(layer), ...(name === undefined ? {} : title) }
  }
  const manifest = json(MEDIA_TYPES.ociManifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType,
    config: descriptorOf(config),
    layers: layers.map(titled),
    ...(subject === undefined ? {} : { subject: descriptorOf(subject) }),
    ...(annotations === undefined ? {} : { annotations }),
  })
  return { config, layers, manifest, platform: {} }
}

/** An OCI image index of images of several platforms. */
export function makeIndex(images: readonly TestImage[], annotations?: Record<string, string>): TestIndex {
  const manifest = json(MEDIA_TYPES.ociIndex, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociIndex,
    manifests: images.map((image) => ({ ...descriptorOf(image.manifest), platform: image.platform })),
    ...(annotations === undefined ? {} : { annotations }),
  })
  return { images: [...images], manifest }
}

/** OCI Image Specification 1.1, "Image Layout": writes `image` under `tag` into an empty folder. */
export function writeLayout(folder: string, image: TestImage | TestIndex, tag: string): void {
  const blobs = join(folder, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const images = 'images' in image ? image.images : [image]
  const contents = [image.manifest, ...images.flatMap(({ manifest, config, layers }) => [manifest, config, ...layers])]
  for (const { digest, bytes } of contents) writeFileSync(join(blobs, hexOf(digest)), bytes)
  writeFileSync(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  const entry = { ...descriptorOf(image.manifest), annotations: { 'org.opencontainers.image.ref.name': tag } }
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }))
}

export interface PushOptions {
  /** Without one the manifest is pushed by its digest. */
  tag?: string
  /** Value of the Authorization header. */
  authorization?: string
}

/**
 * Pushes an image (or an index with its images) over HTTP: each blob with POST and PUT, then the manifest.
 * @throws Error with the answer that is not 201.
 */
export async function pushImage(
  baseUrl: string,
  repository: string,
  image: TestImage | TestIndex,
  options: PushOptions = {},
): Promise<void> {
  if ('images' in image) {
    const { tag: _, ...untagged } = options
    for (const child of image.images) await pushImage(baseUrl, repository, child, untagged)
  } else {
    for (const blob of [image.config, ...image.layers]) await pushBlob(baseUrl, repository, blob, options)
  }
  const { mediaType, digest, bytes } = image.manifest
  const url = `${baseUrl}/v2/${repository}/manifests/${options.tag ?? digest}`
  await expectStatus(201, url, { method: 'PUT', headers: headersOf(options, mediaType), body: bytes })
}

/** OCI Distribution Specification 1.1, "POST then PUT". */
export async function pushBlob(
  baseUrl: string,
  repository: string,
  blob: Content,
  options: PushOptions = {},
): Promise<void> {
  const start = `${baseUrl}/v2/${repository}/blobs/uploads/`
  const answer = await expectStatus(202, start, { method: 'POST', headers: headersOf(options) })
  const target = new URL(answer.headers.get('location') ?? '', start)
  target.searchParams.set('digest', blob.digest)
  const headers = headersOf(options, 'application/octet-stream')
  await expectStatus(201, target.href, { method: 'PUT', headers, body: blob.bytes })
}

export function descriptorOf({ mediaType, digest, bytes }: Content): Descriptor {
  return { mediaType, digest, size: bytes.length }
}

async function expectStatus(status: number, url: string, init: RequestInit): Promise<Response> {
  const answer = await fetch(url, init)
  if (answer.status === status) return answer
  throw new Error(`${init.method} ${url}: expected ${status}, got ${answer.status} ${await answer.text()}`)
}

function headersOf({ authorization }: PushOptions, contentType?: string): Record<string, string> {
  return {
    ...(authorization === undefined ? {} : { Authorization: authorization }),
    ...(contentType === undefined ? {} : { 'Content-Type': contentType }),
  }
}

export function content(mediaType: string, bytes: Uint8Array<ArrayBuffer>): Content {
  return { mediaType, digest: digestOf(bytes), bytes }
}

export function json(mediaType: string, value: unknown): Content {
  return content(mediaType, new Uint8Array(Buffer.from(JSON.stringify(value))))
}

/** A POSIX ustar archive (IEEE 1003.1, pax, "ustar Interchange Format") of one file. */
function tarOf(name: string, bytes: Uint8Array): Uint8Array {
  const archive = Buffer.alloc(512 + Math.ceil(bytes.length / 512) * 512 + 1024)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  archive.write(name, 0)
  archive.write(octal(0o644, 7), 100)
  archive.write(octal(0, 7), 108)
  archive.write(octal(0, 7), 116)
  archive.write(octal(bytes.length, 11), 124)
  archive.write(octal(0, 11), 136)
  archive.write('        0', 148)
  archive.write('ustar\x0000', 257)
  const sum = archive.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  archive.write(`${octal(sum, 6)} `, 148)
  archive.set(bytes, 512)
  return archive
}

export const BASE_IMAGE = 'berth-test/base:latest'

/** Imports a root file system with nothing but a static busybox, without any network. */
export async function importBase(docker: Docker): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-base-'))
  try {
    mkdirSync(join(folder, 'root/bin'), { recursive: true })
    copyFileSync(program('busybox', 'busybox-static'), join(folder, 'root/bin/busybox'))
    for (const applet of ['sh', 'cat', 'sha256sum', 'mkdir']) symlinkSync('busybox', join(folder, 'root/bin', applet))
    const archive = join(folder, 'base.tar')
    await must(['tar', '-C', join(folder, 'root'), '-cf', archive, '.'])
    await docker.must(['import', archive, BASE_IMAGE])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * `docker build` of an image on `BASE_IMAGE`: one COPY layer with a file `/layer-N` of incompressible bytes for each size,
 * and a RUN layer. `docker run --network host NAME` prints the SHA-256 of every file: see `expectedSums`.
 */
export async function buildImage(docker: Docker, name: string, sizes: readonly number[], seed: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-build-'))
  try {
    sizes.forEach((size, index) => {
      writeFileSync(join(folder, `layer-${index}`), noise(size, `${seed}/${index}`))
    })
    const files = sizes.map((_, index) => `/layer-${index}`)
    const lines = [
      `FROM ${BASE_IMAGE}`,
      ...files.map((file) => `COPY ${file.slice(1)} ${file}`),
      `RUN ["/bin/sh", "-c", "echo ${seed} > /built"]`,
      `CMD ${JSON.stringify(['/bin/sha256sum', ...files])}`,
    ]
    writeFileSync(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
    await docker.must(['build', '--network', 'host', '-t', name, folder])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `docker run` of an image by `buildImage` prints. */
export function expectedSums(sizes: readonly number[], seed: string): string {
  return sizes.map((size, index) => `${hexOf(digestOf(noise(size, `${seed}/${index}`)))}  /layer-${index}\n`).join('')
}
