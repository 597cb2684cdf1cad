import { BLOCK } from '../archive/tar-header.ts'

/** Writes a tar archive (POSIX.1-2017 pax, "ustar Interchange Format"), without times or owners: same content, same bytes. */
export interface TarWriter {
  /** `chunks` must have `size` bytes in all. */
  add(name: string, size: number, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>
  end(): void
}

/** Bytes that eleven octal digits can say. */
const MAX_OCTAL = 8 ** 11 - 1
const MAX_NAME = 100

export function createTarWriter(write: (bytes: Uint8Array) => void): TarWriter {
  const folders = new Set<string>()

  function addFolders(name: string): void {
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      const folder = name.slice(0, slash + 1)
      if (folders.has(folder)) continue
      folders.add(folder)
      write(header(folder, 0, '5', 0o755))
    }
  }

  return {
    async add(name, size, chunks) {
      addFolders(name)
      if (name.length > MAX_NAME) {
        const record = paxRecord('path', name)
        write(header('pax', record.byteLength, 'x', 0o644))
        write(padded(record))
      }
      write(header(name.slice(-MAX_NAME), size, '0', 0o644))
      for await (const chunk of chunks) write(chunk)
      write(new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK))
    },
    end: () => write(new Uint8Array(2 * BLOCK)),
  }
}

function header(name: string, size: number, flag: string, mode: number): Uint8Array {
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  block.write(name, 0)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  if (size <= MAX_OCTAL) block.write(octal(size, 11), 124)
  else {
    // GNU's base 256, which every reader knows.
    block.writeBigUInt64BE(BigInt(size), 128)
    block[124] = 0x80
  }
  block.write(octal(0, 11), 136)
  block.write('        ', 148)
  block.write(flag, 156)
  block.write('ustar\x0000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** `LENGTH KEY=VALUE\n`, in which the length counts itself. */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = ` ${key}=${value}\n`
  let length = Buffer.byteLength(rest)
  length += String(length + String(length).length).length
  return Buffer.from(`${length}${rest}`)
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.byteLength / BLOCK) * BLOCK)
  whole.set(bytes)
  return whole
}
