import type { Digest } from '../oci/digest.ts'

/**
 * When clients asked last for blobs, so that a collector in a hurry leaves them alone. It never forgets one: blobs that fall into
 * the same place share its time, and so are left alone too often rather than too seldom.
 */
export interface Asks {
  /** `at`: milliseconds since the epoch. */
  note(repository: string, digest: Digest, at: number): void
  /** Whether somebody may have asked at `since` or later. */
  isSince(repository: string, digest: Digest, since: number): boolean
}

/** 2 MiB, of which the machine gives what is written: of 10,000 blobs that were asked for of late, one in 26 of the others is taken for one. */
const PLACES = 2 ** 18

export function createAsks(): Asks {
  const times = new Float64Array(PLACES)
  // The end of a digest is random already. Two repositories that share it shall not share the place.
  const placeOf = (repository: string, digest: Digest) =>
    (Number.parseInt(digest.slice(-8), 16) ^ Bun.hash.crc32(repository)) & (PLACES - 1)
  return {
    note(repository, digest, at) {
      const place = placeOf(repository, digest)
      if (at > (times[place] as number)) times[place] = at
    },
    isSince: (repository, digest, since) => (times[placeOf(repository, digest)] as number) >= since,
  }
}
