import { RegistryError } from '../oci/error.ts'
import { sizeText } from '../oci/size.ts'

/** A file system that pushes fill. Bytes. */
export interface Disk {
  path: string
  free: number
  /** Below it no push is taken; 0: whatever is free will do. */
  least: number
}

/** Whether there is room for pushes: a disk that is full to the last byte would trap those who want to delete. */
export interface Space {
  /**
   * To be asked before anything is taken.
   * @param bytes that are to come, where that is known
   * @throws RegistryError DENIED, with the figures, when less than the floor is free, or would be afterwards
   */
  admit(bytes?: number): void
  /** Runs a work that takes bytes; `interrupt` hears of it, at most once, when the disk falls below the floor meanwhile. */
  during<T>(interrupt: (reason: RegistryError) => void, work: () => Promise<T>): Promise<T>
}

/** Milliseconds between two looks at the disk while bytes come whose number nobody told. */
const LOOK_EVERY = 250

/** Takes everything: for tests, and for what keeps no disk. */
export const ENDLESS_SPACE: Space = { admit: () => {}, during: (_interrupt, work) => work() }

/** `disks` is asked at each push, on the thread that answers. `onRefused` counts. */
export function createSpace(deps: { disks: () => readonly Disk[]; onRefused?: () => void; everyMs?: number }): Space {
  const { disks, onRefused = () => {}, everyMs = LOOK_EVERY } = deps
  const works = new Set<(reason: RegistryError) => void>()
  let timer: Timer | undefined

  function look(): void {
    const short = shortest(disks(), 0)
    if (short === undefined) return
    for (const interrupt of works) {
      onRefused()
      interrupt(refusal(short, 0))
    }
    works.clear()
  }

  return {
    admit(bytes = 0) {
      const short = shortest(disks(), bytes)
      if (short === undefined) return
      onRefused()
      throw refusal(short, bytes)
    },
    async during(interrupt, work) {
      works.add(interrupt)
      timer ??= setInterval(look, everyMs)
      try {
        return await work()
      } finally {
        works.delete(interrupt)
        if (works.size === 0) {
          clearInterval(timer)
          timer = undefined
        }
      }
    },
  }
}

function shortest(disks: readonly Disk[], bytes: number): Disk | undefined {
  return disks.find(({ free, least }) => least > 0 && free - bytes < least)
}

/**
 * 403 DENIED: the specification has no code for it, and of the statuses that mean it (507, 503) clients show nothing but the number,
 * and try again at once; DENIED they print with its text, and leave it at that.
 */
function refusal({ free, least }: Disk, bytes: number): RegistryError {
  const wish = bytes === 0 ? '' : `, ${sizeText(bytes)} are to come,`
  return new RegistryError('DENIED', {
    message:
      `the disk of the registry is nearly full: ${sizeText(free)} are free${wish} and it takes no push that leaves less than ` +
      `${sizeText(least)}; delete images that nobody needs, or ask its operator for room`,
    detail: { reason: 'disk-space', free, least, ...(bytes === 0 ? {} : { bytes }) },
  })
}
