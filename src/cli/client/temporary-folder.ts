import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { orSay } from '../../transfer/draft-file.ts'
import type { ClientContext } from './context.ts'

/** An empty folder, which goes with the process if nobody removes it before. @throws UpstreamError where there can be none */
export function makeTemporaryFolder({ env }: ClientContext, purpose: string): { path: string; remove(): void } {
  const parent = env.TMPDIR || tmpdir()
  const path = orSay(parent, () => mkdtempSync(join(parent, `berth-${purpose}-`)))
  const clear = () => rmSync(path, { recursive: true, force: true })
  process.on('exit', clear)
  return {
    path,
    remove() {
      process.off('exit', clear)
      clear()
    },
  }
}
