import { CommandError } from '../error.ts'
import type { ClientContext } from './context.ts'

/** Bytes from the beginning in which a zero tells that it is no text, as grep and git have it. */
const HEAD = 8192

/**
 * Prints bytes; what is no text not on a terminal, which would show nothing but escapes. `name`: what errors call them.
 * @throws CommandError
 */
export async function printBytes(
  context: ClientContext,
  name: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (!context.outIsTerminal) {
    for await (const chunk of chunks) context.out(chunk)
    return
  }
  const held: Uint8Array[] = []
  let size = 0
  const release = () => {
    if (Buffer.concat(held).subarray(0, HEAD).includes(0)) {
      throw new CommandError(`${name} is no text, and is not printed on a terminal`, 1, {
        hint: 'add -o FILE, or send it to a file or a pipe',
      })
    }
    for (const chunk of held.splice(0)) context.out(chunk)
  }
  for await (const chunk of chunks) {
    if (size >= HEAD) {
      context.out(chunk)
      continue
    }
    held.push(chunk)
    size += chunk.byteLength
    if (size >= HEAD) release()
  }
  release()
}
