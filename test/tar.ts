import { gzipSync, zstdCompressSync } from 'node:zlib'
import { MEDIA_TYPES } from '../src/oci/media-type.ts'
import { content, descriptorOf, json, type TestImage } from './image.ts'

/** One file of an archive. What is not said is a plain file of nothing. */
export interface TarPart {
  name: string
  /** The type's character (POSIX.1-2017 pax, "ustar Header Block"). */
  flag?: string
  bytes?: string | Uint8Array
  link?: string
  mode?: number
  uid?: number
  gid?: number
  modified?: number
  /** In place of the number of bytes: what a liar writes there. */
  size?: number
}

const BLOCK = 512

/** A tar archive in ustar's format, with its two blocks of zeros unless told. */
export function makeTar(parts: readonly TarPart[], { isEnded = true } = {}): Buffer {
  return Buffer.concat([...parts.flatMap(blocksOf), ...(isEnded ? [Buffer.alloc(2 * BLOCK)] : [])])
}

/** A directory, by name. */
export function folder(name: string): TarPart {
  return { name, flag: '5', mode: 0o755 }
}

export function symlink(name: string, link: string): TarPart {
  return { name, flag: '2', link, mode: 0o777 }
}

export function hardLink(name: string, link: string): TarPart {
  return { name, flag: '1', link }
}

export function file(name: string, bytes: string | Uint8Array = '', more: Partial<TarPart> = {}): TarPart {
  return { name, bytes, ...more }
}

/** A pax header for the next file. */
export function pax(records: Record<string, string>, flag: 'x' | 'g' = 'x'): TarPart {
  const lines = Object.entries(records).map(([keyword, value]) => {
    const rest = ` ${keyword}=${value}\n`
    let length = Buffer.byteLength(rest) + 1
    while (String(length).length + Buffer.byteLength(rest) !== length) length++
    return `${length}${rest}`
  })
  return { name: 'pax', flag, bytes: lines.join('') }
}

function blocksOf({
  name,
  flag = '0',
  bytes = '',
  link = '',
  mode = 0o644,
  uid = 0,
  gid = 0,
  modified = 0,
  size,
}: TarPart) {
  const body = Buffer.from(bytes as string)
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, at: number, digits: number) =>
    header.write(`${value.toString(8).padStart(digits, '0')}\0`, at)
  header.write(name, 0, 100)
  octal(mode, 100, 7)
  octal(uid, 108, 7)
  octal(gid, 116, 7)
  octal(size ?? body.length, 124, 11)
  octal(modified, 136, 11)
  header.write('        0', 148)
  header.write(flag, 156, 'latin1')
  header.write(link, 157, 100)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return [header, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]
}

export type Packing = 'none' | 'gzip' | 'zstd'

export function pack(bytes: Uint8Array, packing: Packing): Uint8Array<ArrayBuffer> {
  const packed = packing === 'gzip' ? gzipSync(bytes) : packing === 'zstd' ? zstdCompressSync(bytes) : bytes
  return new Uint8Array(packed)
}

export interface LayeredOptions {
  format?: 'oci' | 'docker'
  /** What stands in its configuration besides the root file system. */
  config?: Record<string, unknown>
  architecture?: string
}

const OCI_SUFFIX: Record<Packing, string> = { none: '', gzip: '+gzip', zstd: '+zstd' }

/** An image of layers as they are given, compressed or not; the lowest first. */
export function makeLayered(
  layers: readonly { bytes: Uint8Array; packing?: Packing; packed?: Uint8Array }[],
  { format = 'oci', config: more = {}, architecture = 'amd64' }: LayeredOptions = {},
): TestImage {
  const isOci = format === 'oci'
  const platform = { architecture, os: 'linux' }
  const contents = layers.map(({ bytes, packing = 'gzip', packed = pack(bytes, packing) }) =>
    content(
      isOci
        ? `application/vnd.oci.image.layer.v1.tar${OCI_SUFFIX[packing]}`
        : `application/vnd.docker.image.rootfs.diff.tar${packing === 'none' ? '' : `.${packing}`}`,
      new Uint8Array(packed),
    ),
  )
  const config = json(
    isOci ? 'application/vnd.oci.image.config.v1+json' : 'application/vnd.docker.container.image.v1+json',
    {
      ...platform,
      rootfs: { type: 'layers', diff_ids: [] },
      ...more,
    },
  )
  const mediaType = isOci ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest
  const manifest = json(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: descriptorOf(config),
    layers: contents.map(descriptorOf),
  })
  return { config, layers: contents, manifest, platform }
}
